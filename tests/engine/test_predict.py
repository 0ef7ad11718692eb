"""Any image through any network: sizes, windows, heads, maps, and too little memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_diamant.config import AttentionConfig, ModelCard, ModelConfig
from napari_diamant.engine.checkpoint import identity
from napari_diamant.engine.predict import LEAST_TILE, attempts, predict
from napari_diamant.engine.sliding import OVERLAP, windows
from napari_diamant.errors import UserError
from napari_diamant.models.build import build_network
from napari_diamant.types import AttentionMaps

PATCH = 8


def model(**choices):
    """Build a small network whose output varies from place to place, and its card."""
    card = ModelCard(
        model=ModelConfig(**{"width": 4, "depth": 2, "maps": 3, **choices}),
        attention=AttentionConfig(),
        backbone_hash="right",
    )
    torch.manual_seed(0)
    network = build_network(card.model).train()
    with torch.no_grad():
        for _ in range(20):  # gives batch normalisation the statistics it predicts with
            network(torch.rand(2, card.model.image_channels, 32, 32), torch.rand(2, card.model.maps, 32, 32))
        network.decoder.head.weight *= 6
    return network.eval(), card


def picture(shape, seed=0):
    rng = np.random.default_rng(seed)
    coarse = rng.random((shape[0] // 9 + 1, shape[1] // 9 + 1, *shape[2:]))
    blocks = np.kron(coarse, np.ones((9, 9) + (1,) * (len(shape) - 2)))[: shape[0], : shape[1]]
    return (255 * (0.7 * blocks + 0.3 * rng.random(shape))).astype(np.uint8)


def maps_of(shape, heads=3, seed=1):
    rows, columns = -(-shape[0] // PATCH), -(-shape[1] // PATCH)
    maps = np.random.default_rng(seed).random((heads, rows, columns)).astype(np.float32)
    return AttentionMaps(maps, (PATCH, PATCH), tuple(shape[:2]), "small", "right", True, 11)


class Watched(torch.nn.Module):
    """Notes what a network is given, and runs out of memory above a number of pixels."""

    def __init__(self, network, pixels=10**9, fault=None):
        super().__init__()
        self.network, self.pixels, self.seen, self.fault = (
            network,
            pixels,
            [],
            fault or torch.OutOfMemoryError,
        )

    def forward(self, image, maps=None):
        self.seen.append((tuple(image.shape), maps))
        if image.shape[2] * image.shape[3] > self.pixels:
            raise self.fault("out of memory, as a test wants it")
        return self.network(image, maps)


@pytest.mark.parametrize("shape", [(1, 1), (7, 33), (16, 16), (50, 41, 3), (64, 64, 4), (40, 40, 2)])
@pytest.mark.parametrize("choices", [{}, {"arch": "unet", "image_channels": 1, "classes": tuple("abcd")}])
def test_every_size_and_channel_count_gives_a_mask_of_the_same_size(shape, choices):
    network, card = model(**choices)
    made = predict(network, card, picture(shape), maps_of(shape))
    classes = len(card.model.classes)
    assert made.labels.shape == shape[:2]
    assert made.labels.dtype == np.uint8
    assert made.probabilities.shape == (classes, *shape[:2])
    assert made.probabilities.dtype == np.float16
    assert np.allclose(made.probabilities.sum(0, dtype=np.float32), 1, atol=2e-3)
    likeliest = np.take_along_axis(made.probabilities, made.labels[None].astype(int), axis=0)[0]
    assert (likeliest >= made.probabilities.max(0)).all()
    assert made.model_id == identity(network)


def test_every_kind_of_pixel_gives_the_mask_of_the_same_picture():
    network, card = model()
    pixels = picture((40, 40))
    expected = predict(network, card, pixels, maps_of((40, 40))).probabilities
    for other in (pixels.astype(np.uint16) * 200, pixels.astype(np.float32) / 7 - 3):
        assert np.allclose(
            predict(network, card, other, maps_of((40, 40))).probabilities, expected, atol=0.02
        )


def test_holes_in_the_numbers_do_not_spread():
    network, card = model()
    pixels = picture((40, 40)).astype(np.float32)
    pixels[3, 3] = np.nan
    assert np.isfinite(predict(network, card, pixels, maps_of((40, 40))).probabilities).all()


def test_more_than_256_classes_are_told_apart():
    network, card = model(classes=tuple(map(str, range(300))), width=2, depth=1)
    with torch.no_grad():
        network.decoder.head.bias[299] = 1e3
    made = predict(network, card, picture((20, 20)), maps_of((20, 20)))
    assert made.labels.dtype == np.uint16
    assert (made.labels == 299).all()


def test_windows_agree_with_the_whole_image():
    network, card = model(norm="batch")
    pixels, maps = picture((150, 330, 3)), maps_of((150, 330))
    whole, tiled = (
        predict(network, card, pixels, maps, tile=tile).probabilities.astype(np.float32)
        for tile in (1024, 192)
    )
    assert whole[1].std() > 0.05
    assert np.abs(whole - tiled).max() < 0.01


def test_windows_leave_no_seam_where_each_normalises_by_itself():
    class Centred(torch.nn.Module):
        """Takes away the mean of what it sees, so that every window has an offset of its own."""

        def __init__(self):
            super().__init__()
            self.gain = torch.nn.Parameter(torch.ones(1))

        def forward(self, image, maps=None):
            centred = self.gain * (image[:, :1] - image[:, :1].mean())
            return torch.cat([-centred, centred], dim=1)

    card = ModelCard(model=ModelConfig(arch="unet", depth=2))
    ramp = np.tile(np.linspace(0, 1, 288), (96, 1))
    whole, tiled = (
        predict(Centred(), card, ramp, None, tile=tile).probabilities[1].astype(np.float32)
        for tile in (288, 96)
    )
    offset = tiled - whole
    assert np.ptp(offset) > 0.3
    assert np.abs(np.diff(offset, axis=0)).max() < 0.002
    assert np.abs(np.diff(offset, axis=1)).max() < 0.02  # a hard edge between two windows would step by 0.12


def test_no_window_is_larger_than_the_tile_and_all_are_reported():
    network, card = model()
    watched, news = Watched(network), []
    predict(watched, card, picture((100, 300)), maps_of((100, 300)), tile=70, report=news.append)
    assert len(watched.seen) > 4
    assert all(max(shape[2:]) <= 70 for shape, _ in watched.seen)
    assert [(item.done, item.total) for item in news] == [
        (number, len(watched.seen)) for number in range(1, len(watched.seen) + 1)
    ]


@pytest.mark.parametrize("multiple", [2, 16, 128])
@pytest.mark.parametrize("tile", [64, 100, 1024])
def test_windows_cover_their_side_and_are_few(tile, multiple):
    longest = max(2 * multiple, tile // multiple * multiple)
    for side in range(2 * multiple, 12 * multiple + 6000, 7 * multiple):
        length, count = windows(side, tile, multiple)
        assert length % multiple == 0
        assert 2 * multiple <= length <= longest
        reach = length + int(length * (1 - OVERLAP)) * (count - 1)
        assert reach >= side
        assert count == 1 or reach - int(length * (1 - OVERLAP)) < side


def test_heads_that_are_off_are_zero_and_the_others_untouched():
    network, card = model()
    pixels, maps = picture((40, 40)), maps_of((40, 40))
    watched = Watched(network)
    everything = predict(watched, card, pixels, maps)
    some = predict(watched, card, pixels, maps, heads=[2, 0, 2])
    none = predict(watched, card, pixels, maps, heads=[])
    (_, all_maps), (_, some_maps), (_, no_maps) = watched.seen
    assert torch.equal(some_maps[:, [0, 2]], all_maps[:, [0, 2]])
    assert all_maps[:, 1].any()
    assert not some_maps[:, 1].any()
    assert not no_maps.any()
    assert (everything.heads, some.heads, none.heads) == (None, (0, 2), ())
    assert np.abs(everything.probabilities - some.probabilities).max() > 0.02


def test_all_heads_by_name_are_all_heads():
    network, card = model()
    pixels, maps = picture((40, 40)), maps_of((40, 40))
    by_name = predict(network, card, pixels, maps, heads=range(3))
    assert np.array_equal(by_name.probabilities, predict(network, card, pixels, maps).probabilities)


@pytest.mark.parametrize("heads", [[3], [-1], [0, 1, 7]])
def test_heads_that_do_not_exist_are_refused(heads):
    network, card = model()
    with pytest.raises(UserError, match="Heads must lie between 0 and 2"):
        predict(network, card, picture((40, 40)), maps_of((40, 40)), heads=heads)


def test_a_model_without_maps_needs_none_and_has_no_heads():
    network, card = model(arch="unet")
    assert predict(network, card, picture((40, 40)), None).heads is None
    with pytest.raises(UserError, match="looks at no attention maps"):
        predict(network, card, picture((40, 40)), None, heads=[0])


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        (None, "takes attention maps, got none"),
        (maps_of((40, 40), heads=6), "takes 3 attention maps, got 6"),
        (
            replace(maps_of((40, 40)), weights_hash="other"),
            "must come from the backbone the model was trained with",
        ),
        (maps_of((48, 40)), "must belong to their image"),
    ],
)
def test_maps_that_are_not_the_models_are_refused(maps, message):
    network, card = model()
    with pytest.raises(UserError, match=message):
        predict(network, card, picture((40, 40)), maps)


def test_maps_of_an_image_of_another_size_are_refused():
    network, card = model()
    with pytest.raises(UserError, match=r"\(40, 48\).*\(40, 40\)"):
        predict(network, card, picture((40, 48)), maps_of((40, 40)))


def test_the_shuffled_control_takes_the_maps_of_an_image_of_another_size():
    network, card = model(map_control="shuffled")
    watched = Watched(network)
    predict(watched, card, picture((40, 64)), maps_of((80, 24)))
    assert watched.seen[0][1].shape == (1, 3, 40, 64)
    assert watched.seen[0][1].std() > 0.1


def test_a_network_can_go_on_learning_after_a_prediction():
    network, card = model()
    predict(network.train(), card, picture((40, 40)), maps_of((40, 40)))
    assert network.training
    network(torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)).sum().backward()
    assert network.decoder.head.weight.grad is not None


@pytest.mark.parametrize("fault", [torch.OutOfMemoryError, RuntimeError, MemoryError])
def test_too_little_memory_means_smaller_windows_and_is_said(fault):
    network, card = model(arch="unet")
    pixels, news = picture((300, 520)), []
    made = predict(Watched(network, 270**2, fault), card, pixels, None, report=news.append)
    small = predict(network, card, pixels, None, tile=260)
    assert np.array_equal(made.labels, small.labels)
    assert [item.message for item in news if "memory" in item.message] == [
        "Out of memory with windows of 520 pixels on cpu; trying with less"
    ]


def test_no_memory_at_all_is_one_sentence():
    network, card = model(arch="unet")
    with pytest.raises(UserError, match="needs more memory than is free"):
        predict(Watched(network, 10), card, picture((300, 300)), None)


def test_a_device_that_runs_out_hands_over_to_the_cpu():
    tried = [(device.type, tile) for device, tile in attempts(torch.device("cuda"), 1024)]
    assert tried == [(kind, tile) for kind in ("cuda", "cpu") for tile in (1024, 512, LEAST_TILE)]


def test_a_defect_is_not_taken_for_a_lack_of_memory():
    network, card = model(arch="unet")

    class Broken(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, image, maps):
            raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        predict(Broken(), card, picture((40, 40)), None)


def test_a_listener_can_stop_a_prediction():
    network, card = model()

    def stop(progress):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        predict(network, card, picture((40, 40)), maps_of((40, 40)), report=stop)


def test_weights_that_are_no_numbers_are_refused():
    network, card = model()
    with torch.no_grad():
        network.decoder.head.bias[0] = float("nan")
    with pytest.raises(UserError, match="must give finite numbers"):
        predict(network, card, picture((40, 40)), maps_of((40, 40)))
