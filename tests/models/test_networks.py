"""Every network that a configuration can describe keeps the same promises."""

from __future__ import annotations

import pytest
import torch

from napari_diamant.config import ModelConfig
from napari_diamant.errors import UserError
from napari_diamant.models import NETWORKS
from napari_diamant.models.blocks import InstanceNorm
from napari_diamant.models.build import build_network, match_width, parameters
from napari_diamant.models.entrance import derangement, kept_heads

SMALL = {"width": 4, "depth": 2, "maps": 5}
CONFIGURATIONS = {
    "unet": ModelConfig(arch="unet", **SMALL),
    "unet-maps": ModelConfig(arch="unet", unet_input="maps", **SMALL),
    "unet-image+maps": ModelConfig(arch="unet", unet_input="image+maps", **SMALL),
    "diamant": ModelConfig(**SMALL),
    "diamant-bottleneck": ModelConfig(fusion="bottleneck", **SMALL),
    "diamant-image-twice": ModelConfig(second_input="image", **SMALL),
    "diamant-batch": ModelConfig(norm="batch", **SMALL),
    "diamant-group": ModelConfig(norm="group", **SMALL),
    "diamant-constant": ModelConfig(map_control="constant", **SMALL),
    "diamant-shuffled": ModelConfig(map_control="shuffled", **SMALL),
    "diamant-five-classes-one-channel": ModelConfig(classes=tuple("abcde"), image_channels=1, **SMALL),
    "diamant-depth-1": ModelConfig(width=4, depth=1, maps=1),
}
WITH_MAPS = {name: config for name, config in CONFIGURATIONS.items() if config.uses_maps}
SEEING_PLACES = {name: config for name, config in WITH_MAPS.items() if config.map_control != "constant"}


def every(configurations):
    return pytest.mark.parametrize("config", configurations.values(), ids=configurations.keys())


def batch(config, size=(32, 24), count=2, seed=0):
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(count, config.image_channels, *size, generator=generator)
    return image, torch.rand(count, config.maps, *size, generator=generator)


def built(config, seed=0):
    torch.manual_seed(seed)
    return build_network(config)


@every(CONFIGURATIONS)
def test_logits_have_one_channel_per_class_at_the_size_of_the_image(config):
    logits = built(config).eval()(*batch(config))
    assert logits.shape == (2, len(config.classes), 32, 24)


@every(CONFIGURATIONS)
def test_gradients_reach_every_parameter(config):
    network = built(config).train()
    logits = network(*batch(config))
    torch.nn.functional.cross_entropy(logits, torch.ones(2, 32, 24, dtype=torch.long)).backward()
    without = [
        name for name, weight in network.named_parameters() if weight.grad is None or not weight.grad.any()
    ]
    assert without == []


@every(CONFIGURATIONS)
def test_equal_configurations_and_seeds_build_equal_networks(config):
    one, two = built(config).state_dict(), built(config.model_copy()).state_dict()
    assert list(one) == list(two)
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_another_seed_draws_other_weights():
    one, two = (built(CONFIGURATIONS["diamant"], seed).decoder.head.weight for seed in (0, 1))
    assert not torch.equal(one, two)


@every(CONFIGURATIONS)
def test_prediction_is_deterministic_and_leaves_the_network_as_it_was(config):
    network = built(config).eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert torch.equal(network(*batch(config)), network(*batch(config)))
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


@every(CONFIGURATIONS)
def test_training_steps_with_one_seed_are_equal(config):
    network = built(config).train()
    outputs = []
    for _ in range(2):
        torch.manual_seed(3)
        outputs.append(network(*batch(config)))
    assert torch.equal(*outputs)


def test_an_untrained_network_draws_no_pattern_of_single_pixels():
    """Transposed convolutions whose taps differ would dot the mask of a model that has seen little."""
    network = build_network(ModelConfig(width=4))
    for up in network.decoder.ups:
        coarse = torch.randn(1, up.in_channels, 3, 5)
        fine = up(coarse)
        nearest = torch.nn.functional.interpolate(fine[..., ::2, ::2], scale_factor=2.0)
        torch.testing.assert_close(fine, nearest)


@every(CONFIGURATIONS)
def test_counting_parameters_needs_no_network(config):
    assert parameters(config) == sum(weight.numel() for weight in built(config).parameters())


@every(CONFIGURATIONS)
def test_maps_change_the_output_of_exactly_those_networks_that_use_them(config):
    network = built(config).eval()
    image, maps = batch(config)
    differs = not torch.allclose(network(image, maps), network(image, maps * 0.3), atol=1e-6)
    assert differs == config.uses_maps


@every(WITH_MAPS)
def test_switching_one_head_off_changes_the_output(config):
    network = built(config).eval()
    image, maps = batch(config)
    off = maps.clone()
    off[:, 0] = 0
    assert (network(image, maps) - network(image, off)).abs().max() > 1e-3


@every(SEEING_PLACES)
def test_a_network_sees_where_attention_lies(config):
    network = built(config).eval()
    image, maps = batch(config)
    assert not torch.allclose(network(image, maps), network(image, maps.flip(2)), atol=1e-4)


def test_constant_maps_tell_nothing_about_places():
    config = CONFIGURATIONS["diamant-constant"]
    network = built(config).eval()
    image, maps = batch(config)
    assert torch.allclose(network(image, maps), network(image, maps.flip(2)), atol=1e-5)


def test_shuffled_maps_are_another_images_in_training_and_the_callers_in_prediction():
    entrance = built(CONFIGURATIONS["diamant-shuffled"].model_copy(update={"head_dropout": 0.0})).entrance
    image, maps = batch(CONFIGURATIONS["diamant-shuffled"], count=4)
    seen = entrance.train()(maps, image)
    assert not any(torch.equal(mine, theirs) for mine, theirs in zip(maps, seen, strict=True))
    assert sorted(seen.sum((1, 2, 3)).tolist()) == pytest.approx(sorted(maps.sum((1, 2, 3)).tolist()))
    assert torch.equal(entrance.eval()(maps, image), maps)


def test_a_batch_of_one_cannot_be_shuffled():
    config = CONFIGURATIONS["diamant-shuffled"]
    with pytest.raises(UserError, match="at least 2 images in every batch, got 1"):
        built(config).train()(*batch(config, count=1))


@pytest.mark.parametrize("count", [2, 3, 8])
def test_a_derangement_keeps_nothing_in_place_and_loses_nothing(count):
    for seed in range(20):
        torch.manual_seed(seed)
        order = derangement(count, torch.device("cpu"))
        assert sorted(order.tolist()) == list(range(count))
        assert not (order == torch.arange(count)).any()


def test_head_dropout_zeroes_whole_heads_at_its_rate_in_training_alone():
    config = ModelConfig(width=4, depth=1, maps=6, head_dropout=0.25)
    image, maps = batch(config, count=200, size=(4, 4))
    entrance = built(config).entrance
    torch.manual_seed(0)
    seen = entrance.train()(maps, image)
    kept = (seen == maps).all(dim=(2, 3))
    assert ((seen == 0).all(dim=(2, 3)) | kept).all()
    assert 0.70 < kept.float().mean() < 0.80
    assert kept[0].tolist() != kept[1].tolist() or kept[1].tolist() != kept[2].tolist()
    assert torch.equal(entrance.eval()(maps, image), maps)


def test_one_head_always_stays():
    torch.manual_seed(0)
    assert kept_heads(500, 3, 0.95, torch.device("cpu")).any(dim=1).all()
    assert kept_heads(50, 1, 0.95, torch.device("cpu")).all()


def test_instance_normalisation_is_torchs_own():
    torch.manual_seed(0)
    image = torch.randn(3, 4, 7, 5).contiguous(memory_format=torch.channels_last)
    ours, theirs = InstanceNorm(4, affine=True), torch.nn.InstanceNorm2d(4, affine=True)
    torch.nn.init.normal_(ours.weight)
    theirs.load_state_dict(ours.state_dict())
    inputs = [image.clone().requires_grad_() for _ in range(2)]
    outputs = [norm(x) for norm, x in zip((ours, theirs), inputs, strict=True)]
    for output in outputs:
        output.square().sum().backward()
    assert torch.allclose(*outputs, atol=1e-5)
    assert torch.allclose(inputs[0].grad, inputs[1].grad, atol=1e-4)
    assert outputs[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("size", "padded"), [((250, 250), (256, 256)), ((16, 48), (32, 48)), ((1, 100), (32, 112))]
)
@pytest.mark.parametrize("arch", NETWORKS)
def test_a_size_that_does_not_fit_is_refused_with_the_size_to_pad_to(arch, size, padded):
    config = ModelConfig(arch=arch, width=2, maps=2)
    with pytest.raises(UserError) as error:
        built(config)(*batch(config, size=size))
    assert str(error.value) == (
        f"Height and width must be multiples of 16 and at least 32, got {size}. Pad to {padded}."
    )


@pytest.mark.parametrize("norm", ["instance", "group", "batch"])
def test_the_smallest_size_that_is_asked_for_is_enough_to_train_on(norm):
    config = ModelConfig(width=1, depth=3, norm=norm)
    assert built(config).train()(*batch(config, size=(16, 16), count=1)).isfinite().all()


@every(WITH_MAPS)
def test_missing_and_surplus_maps_are_refused(config):
    network = built(config).eval()
    image, maps = batch(config)
    with pytest.raises(UserError, match="got none"):
        network(image)
    with pytest.raises(UserError, match=f"Use a backbone with {config.maps} heads"):
        network(image, torch.cat([maps, maps], dim=1))


def test_an_image_with_other_channels_is_refused():
    with pytest.raises(UserError, match="Convert the image to 3 channels"):
        built(CONFIGURATIONS["unet"])(torch.rand(1, 4, 32, 32))


def test_sizes_are_those_of_the_field():
    assert parameters(ModelConfig(arch="unet", width=32)) == pytest.approx(7.76e6, rel=1e-3)
    assert parameters(ModelConfig(width=32)) == pytest.approx(7.95e6, rel=1e-3)
    assert parameters(ModelConfig(width=32, fusion="bottleneck")) == pytest.approx(7.46e6, rel=1e-3)


@pytest.mark.parametrize("width", [8, 16, 32])
@pytest.mark.parametrize("depth", [3, 4, 5])
def test_the_dual_encoder_costs_about_as_much_as_a_unet_of_its_width(width, depth):
    unet = parameters(ModelConfig(arch="unet", width=width, depth=depth))
    assert parameters(ModelConfig(width=width, depth=depth)) == pytest.approx(unet, rel=0.03)


@pytest.mark.parametrize("fusion", ["skips", "bottleneck"])
@pytest.mark.parametrize("width", [3, 16, 64])
def test_no_other_width_comes_nearer_than_the_matched_one(width, fusion):
    other = ModelConfig(arch="unet", width=width)
    matched = match_width(ModelConfig(fusion=fusion), other)
    distances = {
        near: abs(parameters(matched.model_copy(update={"width": near})) - parameters(other))
        for near in range(max(1, matched.width - 2), matched.width + 3)
    }
    assert min(distances, key=distances.get) == matched.width


@pytest.mark.parametrize("fusion", ["skips", "bottleneck"])
def test_wide_networks_are_matched_within_two_per_cent(fusion):
    other = ModelConfig(arch="unet", width=64)
    matched = match_width(ModelConfig(fusion=fusion), other)
    assert parameters(matched) == pytest.approx(parameters(other), rel=0.02)
