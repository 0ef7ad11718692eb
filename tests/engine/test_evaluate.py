"""Scores of a set of images: right numbers, honest means, and nothing left out."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_diamant.engine.evaluate import evaluate
from napari_diamant.errors import UserError
from napari_diamant.metrics import bootstrap_interval
from napari_diamant.types import IGNORED

CLASSES = ("background", "gland", "lumen")


def disc(label, radius=6, centre=(16, 16), shape=(32, 32)):
    rows, columns = np.indices(shape)
    inside = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius**2
    return np.where(inside, label, 0).astype(np.uint8)


def results():
    """A perfect image, one that misses a class, and one whose truth lacks a class that was predicted."""
    both = np.maximum(disc(1, 6, (9, 9)), disc(2, 4, (24, 24)))
    return [
        ("perfect", both, both, (1.0, 1.0)),
        ("missed", disc(1, 6, (9, 9)), both, (1.0, 1.0)),
        ("invented", both, disc(1, 6, (9, 9)), (1.0, 1.0)),
    ]


def test_every_image_is_listed_in_its_order_with_every_class_and_score():
    made = evaluate(results(), CLASSES)
    assert [image.name for image in made.images] == ["perfect", "missed", "invented"]
    assert made.images[0].classes == {
        name: {"dice": 1.0, "iou": 1.0, "hd95": 0.0, "nsd": 1.0} for name in ("gland", "lumen")
    }


def test_the_mean_of_an_image_is_over_its_foreground_classes():
    missed = evaluate(results(), CLASSES).images[1]
    assert missed.classes["gland"]["dice"] == 1
    assert missed.classes["lumen"]["dice"] == 0
    assert missed.mean["dice"] == 0.5
    assert missed.mean["hd95"] == pytest.approx(np.hypot(32, 32) / 2)


def test_means_are_over_all_images_with_their_bootstrap_interval():
    made = evaluate(results(), CLASSES, seed=7)
    lumen = made.classes["lumen"]["dice"]
    assert lumen.value == pytest.approx(1 / 3)
    assert (lumen.low, lumen.high) == bootstrap_interval([1.0, 0.0, 0.0], seed=7)
    assert made.mean["dice"].value == pytest.approx(np.mean([1, 0.5, 0.5]))
    assert made.mean["dice"].low <= made.mean["dice"].value <= made.mean["dice"].high


def test_empty_masks_are_counted_and_never_dropped():
    empty = evaluate([*results(), ("nothing", disc(0), disc(0), (1.0, 1.0))], CLASSES).empty
    assert (empty["gland"].truth, empty["gland"].prediction, empty["gland"].both) == (1, 1, 1)
    assert (empty["lumen"].truth, empty["lumen"].prediction, empty["lumen"].both) == (2, 2, 1)


def test_an_empty_truth_and_an_empty_prediction_agree():
    made = evaluate([("nothing", disc(0), disc(0), (1.0, 1.0))], CLASSES)
    assert made.mean["dice"].value == 1
    assert made.mean["hd95"].value == 0


def test_one_image_has_an_interval_of_no_width():
    mean = evaluate([("half", disc(1, 4), disc(1, 6), (1.0, 1.0))], ("background", "gland")).mean["dice"]
    assert mean.low == mean.value == mean.high
    assert 0 < mean.value < 1


def test_distances_are_in_units_of_the_spacing():
    pair = (disc(1, 4), disc(1, 6))
    fine, coarse = (
        evaluate([("a", *pair, (size, size))], ("background", "gland")).mean["hd95"].value
        for size in (1.0, 0.25)
    )
    assert coarse == pytest.approx(fine / 4)


def test_ignored_pixels_count_nowhere():
    truth = disc(1).astype(np.int16)
    truth[:, 20:] = IGNORED
    prediction = np.where(truth == IGNORED, 2, truth)
    made = evaluate([("partly", prediction, truth, (1.0, 1.0))], CLASSES)
    assert made.mean["dice"].value == 1
    assert (made.empty["lumen"].prediction, made.empty["lumen"].both) == (1, 1)


def test_images_are_taken_one_at_a_time_and_each_is_reported():
    order = []

    def stream():
        for result in results():
            order.append(f"read {result[0]}")
            yield result

    evaluate(stream(), CLASSES, report=lambda progress: order.append(progress.message))
    assert order == [f"{verb} {name}" for name, *_ in results() for verb in ("read", "Scored")]


def test_the_result_survives_json():
    made = evaluate(results(), CLASSES)
    back = json.loads(json.dumps(made.as_json()))
    assert back["mean"]["dice"]["value"] == made.mean["dice"].value
    assert back["images"][1]["classes"]["lumen"]["dice"] == 0
    assert back["empty"]["lumen"] == {"truth": 1, "prediction": 1, "both": 0}


@pytest.mark.parametrize(
    ("prediction", "truth", "message"),
    [
        (disc(1), disc(1, shape=(40, 32)), "must have the size of its truth"),
        (disc(1), disc(7), "must lie between 0 and 2 to be scored, got 7 in slide"),
        (disc(9), disc(1), "must lie between 0 and 2 to be scored, got 9 in slide"),
        (disc(1), np.full((32, 32), IGNORED), "only ignored pixels in slide"),
    ],
)
def test_masks_that_cannot_be_scored_are_refused_in_words(prediction, truth, message):
    with pytest.raises(UserError, match=message):
        evaluate([("slide", prediction, truth, (1.0, 1.0))], CLASSES)


def test_no_images_at_all_is_no_score():
    with pytest.raises(UserError, match="at least one image"):
        evaluate([], CLASSES)
