import pytest
import torch
from blobs import blob
from torch import nn

from napari_diamant.config import ModelConfig, TrainConfig
from napari_diamant.engine.augment import STRENGTHS, Augment
from napari_diamant.engine.dataset import CropSampler, prepare
from napari_diamant.engine.schedule import FLOOR, WARM_UP, Budget, learning_rate
from napari_diamant.engine.step import Stepper, accelerator_for
from napari_diamant.errors import UserError

RECIPE = TrainConfig(epochs=1, batch_size=8, crop=32, precision="float32", device="cpu", dice_weight=0)


class Small(nn.Module):
    """A network that fits into memory only up to a number of crops at once."""

    def __init__(self, room):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.room = nn.Conv2d(3, 2, 3, padding=1), room

    def forward(self, image, maps=None):
        if len(image) > self.room:
            raise torch.OutOfMemoryError("more than there is")
        return self.conv(image)


def stepper(room, precision="float32"):
    augment = Augment(STRENGTHS["strong"], 32)
    return Stepper(Small(room), RECIPE, augment, accelerator_for("cpu", precision))


@pytest.fixture
def batch():
    images = [prepare(blob(index), ModelConfig(arch="unet"), None) for index in range(3)]
    return CropSampler(images, 32, 48, seed=0).batch(0, 8)


def test_a_batch_too_large_for_the_memory_goes_in_parts_to_the_same_weights(batch):
    whole, parts = stepper(room=8), stepper(room=3)
    losses = [one.step(batch, 0, 1.0) for one in (whole, parts)]
    assert parts.part == 2
    assert losses[0].item() == pytest.approx(losses[1].item(), rel=0.05)
    # Adam's first step is the sign of the gradient, so equal weights mean equal directions.
    assert torch.allclose(whole.bare.conv.weight, parts.bare.conv.weight, atol=RECIPE.learning_rate)


def test_a_crop_too_large_for_the_memory_is_refused(batch):
    with pytest.raises(UserError, match="single crop of 32 pixels"):
        stepper(room=0).step(batch, 0, 1.0)


def test_one_process_can_fit_in_either_precision_and_gets_float32_from_both():
    computed = []
    for name in ("bf16", "float32", "bf16"):
        one = stepper(room=8, precision=name)
        one.bare.conv.register_forward_hook(lambda module, inputs, output: computed.append(output.dtype))
        assert one.network(torch.rand(1, 3, 32, 32)).dtype == torch.float32
    assert computed == [torch.bfloat16, torch.float32, torch.bfloat16]


def test_the_rate_rises_and_falls_along_a_cosine():
    assert learning_rate(0.0, 0) == pytest.approx(1 / WARM_UP)
    assert learning_rate(0.0, WARM_UP) == 1
    assert learning_rate(0.5, 500) == pytest.approx((1 + FLOOR) / 2)
    assert learning_rate(1.0, 1000) == pytest.approx(FLOOR)


def test_whichever_of_epochs_and_minutes_ends_first_decides():
    both = Budget.of(TrainConfig(epochs=10, minutes=1), steps_per_epoch=25)
    assert both.progress(125, 6) == 0.5
    assert both.progress(25, 45) == 0.75
    assert both.progress(300, 0) == 1
    assert both.seconds_left(125, 30, seconds_per_step=0.1) == pytest.approx(12.5)
    assert both.seconds_left(125, 55, seconds_per_step=0.1) == pytest.approx(5)
    assert Budget.of(TrainConfig(minutes=1), 25).progress(10**6, 30) == 0.5
    assert Budget.of(TrainConfig(epochs=2), 25).progress(25, 10**6) == 0.5
