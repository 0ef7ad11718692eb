from dataclasses import replace

import numpy as np
import pytest
from blobs import blob, scribbled

from napari_diamant.config import ModelConfig
from napari_diamant.engine.dataset import prepare
from napari_diamant.engine.split import MARGIN, split
from napari_diamant.types import IGNORED

UNET = ModelConfig(arch="unet")


def images(count, side=64):
    return [prepare(blob(index, side), UNET, None) for index in range(count)]


def hashes(part):
    return {image.content_hash for image in part}


def known(image):
    return image.labels != IGNORED


def test_whole_images_are_held_out_when_there_are_five():
    parts = split(images(14), 0.2, seed=0)
    assert parts.whole
    assert parts.words == "3 of 14 images"
    assert (len(parts.held), len(parts.learned)) == (3, 11)
    assert not hashes(parts.held) & hashes(parts.learned)


def test_the_order_in_which_images_come_does_not_matter_and_the_seed_does():
    ours = images(12)
    assert hashes(split(ours, 0.3, 0).held) == hashes(split(ours[::-1], 0.3, 0).held)
    assert len({frozenset(hashes(split(ours, 0.3, seed).held)) for seed in range(5)}) > 1


def test_copies_of_an_image_go_to_the_same_side():
    ours = images(6)
    copies = [replace(image, name=f"copy of {image.name}") for image in ours]
    parts = split([*ours, *copies], 0.3, seed=1)
    assert not hashes(parts.held) & hashes(parts.learned)
    assert len(parts.held) == 2 * len(hashes(parts.held))


def test_images_the_starting_model_learned_from_are_held_out_last():
    ours = images(10)
    before = hashes(ours[:8])
    parts = split(ours, 0.2, seed=0, known=before)
    assert hashes(parts.held) == hashes(ours[8:])
    assert "starting model" not in parts.words
    assert "starting model" in split(ours, 0.2, seed=0, known=hashes(ours)).words


def test_a_new_image_brings_none_that_was_learned_before_into_the_held_out_part():
    ours = images(20)
    earlier = split(ours[:12], 0.2, seed=3)
    later = split(ours, 0.2, seed=3, known=hashes(earlier.learned))
    assert not hashes(later.held) & hashes(earlier.learned)


def test_nothing_is_held_out_when_nothing_is_asked_for():
    parts = split(images(6), 0, seed=0)
    assert (len(parts.learned), parts.held) == (6, ())
    assert parts.words == "nothing was held out"


@pytest.mark.parametrize("count", [1, 2, 4])
def test_few_images_give_up_blocks_with_a_margin(count):
    ours = images(count, side=256)
    parts = split(ours, 0.2, seed=0)
    assert not parts.whole
    assert "optimistic" in parts.words
    held = {image.content_hash: known(image) for image in parts.held}
    share = sum(mask.sum() for mask in held.values()) / sum(image.labels.size for image in ours)
    assert 0.1 < share < 0.35
    for image in parts.learned:
        mask = held.get(image.content_hash, np.zeros(image.shape, bool))
        near = np.pad(mask, MARGIN // 2, mode="constant")
        near = np.lib.stride_tricks.sliding_window_view(near, (MARGIN + 1, MARGIN + 1)).any(axis=(2, 3))
        assert not (known(image) & near[: image.shape[0], : image.shape[1]]).any()


@pytest.mark.parametrize("seed", range(6))
def test_no_class_is_lost_to_the_held_out_part(seed):
    few = [prepare(scribbled(blob(index, 128), count=3, seed=seed), UNET, None) for index in range(2)]
    many = [replace(image, labels=np.minimum(image.labels, 0)) for image in images(6)]
    many[seed] = images(6)[seed]  # the only one with foreground
    for ours in (few, many):
        parts = split(ours, 0.2, seed)
        learned = {int(label) for image in parts.learned for label in np.unique(image.labels)} - {IGNORED}
        assert learned == {0, 1}


def test_held_out_blocks_keep_their_labels_and_learned_ones_too():
    (image,) = images(1, side=200)
    parts = split([image], 0.2, seed=0)
    for part in (parts.held[0], parts.learned[0]):
        mask = known(part)
        assert np.array_equal(part.labels[mask], image.labels[mask])


def test_a_single_dab_of_each_class_is_learned_from_whole():
    labels = np.full((128, 128), IGNORED, np.int16)
    labels[10:13, 10:13], labels[90:93, 90:93] = 0, 1
    parts = split([prepare(replace(blob(0, 128), labels=labels), UNET, None)], 0.2, seed=0)
    assert parts.held == ()
    assert known(parts.learned[0]).sum() == 18
    assert parts.words.startswith("nothing was held out: too little")
