from __future__ import annotations

import time
import warnings

import numpy as np
import pytest
import scipy.stats
from scipy import ndimage

from napari_diamant.errors import UserError
from napari_diamant.metrics import bootstrap_interval, dice, hd95, iou, nsd, score_image
from napari_diamant.types import IGNORED

EMPTY = np.zeros((60, 80), bool)


def _blobs(seed: int, shape: tuple[int, int] = (60, 80), grain: float = 4) -> np.ndarray:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), grain)
    return noise > noise.std() * 0.7


def _pairs() -> list[tuple[np.ndarray, np.ndarray]]:
    near = [(_blobs(seed), np.roll(_blobs(seed), (2, 3), (0, 1))) for seed in range(3)]
    dot = EMPTY.copy()
    dot[30, 40] = True
    return [*near, (_blobs(7), _blobs(8)), (_blobs(1), ~_blobs(1)), (dot, _blobs(4)), (~EMPTY, _blobs(5))]


def _monai(
    prediction: np.ndarray, truth: np.ndarray, spacing: tuple[float, float], tolerance: float
) -> dict[str, float]:
    import torch
    from monai.metrics import compute_dice, compute_hausdorff_distance, compute_iou, compute_surface_dice

    ours, theirs = (torch.tensor(np.stack([~mask, mask])[None]).float() for mask in (prediction, truth))
    near = {"include_background": False, "spacing": spacing}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "dice": float(compute_dice(ours, theirs, include_background=False)),
            "iou": float(compute_iou(ours, theirs, include_background=False)),
            "hd95": float(compute_hausdorff_distance(ours, theirs, percentile=95, **near)),
            "nsd": float(compute_surface_dice(ours, theirs, [tolerance], **near)),
        }


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.5, 0.25), (3.0, 1.0)])
@pytest.mark.parametrize("pair", range(len(_pairs())))
def test_scores_equal_monais(pair: int, spacing: tuple[float, float]):
    prediction, truth = _pairs()[pair]
    scores = score_image(prediction.astype(int), truth.astype(int), ("background", "nucleus"), spacing)
    expected = _monai(prediction, truth, spacing, tolerance=2 * max(spacing))
    assert scores == {"nucleus": pytest.approx(expected, rel=1e-5, abs=1e-6)}


def test_a_perfect_mask_scores_perfectly():
    mask = _blobs(0)
    assert (dice(mask, mask), iou(mask, mask), hd95(mask, mask), nsd(mask, mask)) == (1, 1, 0, 1)


def test_two_empty_masks_agree():
    assert (dice(EMPTY, EMPTY), iou(EMPTY, EMPTY), hd95(EMPTY, EMPTY), nsd(EMPTY, EMPTY)) == (1, 1, 0, 1)


@pytest.mark.parametrize("swapped", [False, True])
def test_one_empty_mask_scores_nothing_and_the_diagonal(swapped: bool):
    pair = (_blobs(0), EMPTY) if swapped else (EMPTY, _blobs(0))
    assert (dice(*pair), iou(*pair), nsd(*pair)) == (0, 0, 0)
    assert hd95(*pair) == pytest.approx(100)
    assert hd95(*pair, spacing=(0.5, 2.0)) == pytest.approx(np.hypot(30, 160))


def test_a_shift_is_measured_in_units_of_the_spacing():
    square = EMPTY.copy()
    square[20:40, 20:40] = True
    shifted = np.roll(square, 4, axis=0)
    assert hd95(shifted, square) == 4
    assert hd95(shifted, square, spacing=(0.5, 9.0)) == 2
    assert nsd(shifted, square, tolerance=4) == 1
    assert nsd(shifted, square, tolerance=3.9) < 1


def test_every_class_but_the_background_is_scored_by_its_name():
    truth = np.zeros((30, 30), np.uint8)
    truth[:10], truth[20:] = 1, 2
    prediction = truth.copy()
    prediction[20:] = 1
    scores = score_image(prediction, truth, ("background", "gland", "vessel", "nerve"))
    assert list(scores) == ["gland", "vessel", "nerve"]
    assert scores["gland"]["dice"] == pytest.approx(2 / 3)
    assert scores["vessel"]["dice"] == 0
    assert scores["nerve"]["dice"] == 1


def test_ignored_pixels_count_for_nobody():
    truth = _blobs(0).astype(np.int16)
    prediction = truth.copy()
    prediction[:, 40:] = 1 - prediction[:, 40:]
    truth[:, 40:] = IGNORED
    assert score_image(prediction, truth, ("background", "nucleus"))["nucleus"]["dice"] == 1


def test_masks_of_two_sizes_are_refused():
    with pytest.raises(UserError, match=r"got \(60, 80\) and \(80, 60\)"):
        score_image(np.zeros((60, 80), int), np.zeros((80, 60), int), ("background", "nucleus"))


def test_a_million_pixels_take_little_time():
    prediction, truth = _blobs(0, (1000, 1000), 8), _blobs(1, (1000, 1000), 8)
    start = time.process_time()
    score_image(prediction.astype(np.uint8), truth.astype(np.uint8), ("background", "nucleus"))
    assert time.process_time() - start < 3


def test_the_interval_agrees_with_scipys_bootstrap_and_repeats():
    values = np.random.default_rng(0).beta(8, 2, 40)
    ours = bootstrap_interval(values.tolist(), seed=1)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=9999, method="percentile", rng=2
    ).confidence_interval
    np.testing.assert_allclose(ours, (theirs.low, theirs.high), atol=0.006)
    assert bootstrap_interval(values.tolist(), seed=1) == ours
    wide = bootstrap_interval(values.tolist(), level=0.99)
    assert wide[0] < ours[0] < values.mean() < ours[1] < wide[1]


def test_the_interval_of_one_image_is_its_score_and_none_is_refused():
    assert bootstrap_interval([0.8]) == (0.8, 0.8)
    with pytest.raises(UserError, match="at least one"):
        bootstrap_interval([])
