"""What a training step costs: bf16 against float32, cutting and augmenting, cached maps against recomputed.

Run ``python benchmarks/training.py [--device NAME] [--steps N] [--backbone NAME]``. All figures are of
one run; the sides of a ratio take turns, so that a busy machine slows both.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

from napari_diamant.config import STAND_IN, AttentionConfig, BackboneConfig, ModelConfig, TrainConfig
from napari_diamant.engine import device as devices
from napari_diamant.engine.attention import attend
from napari_diamant.engine.augment import STRENGTHS, Augment
from napari_diamant.engine.dataset import CropSampler, TrainingImage, prepare
from napari_diamant.engine.step import Stepper, accelerator_for
from napari_diamant.models.backbones import load_backbone
from napari_diamant.models.build import build_network

SHAPE = (522, 775)
IMAGES = 4


def training_images(attention: AttentionConfig, backbone):
    """Make images of noise and their maps; what they show does not change what a step costs."""
    rng = np.random.default_rng(0)
    for index in range(IMAGES):
        pixels = rng.integers(0, 255, (*SHAPE, 3), dtype=np.uint8)
        labels = rng.integers(0, 2, SHAPE).astype(np.int16)
        yield TrainingImage(str(index), str(index), pixels, labels, attend(pixels, attention, backbone))


def synchronised(device: torch.device) -> float:
    """Give the time, once the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def best_times(device: torch.device, steps: int, **works) -> dict[str, float]:
    """Run each work in turn and give the fewest seconds of each: other processes can only add to them."""
    times = {name: [] for name in works}
    for turn in range(steps + 1):
        for name, work in works.items():
            start = synchronised(device)
            work(turn)
            times[name].append(synchronised(device) - start)
    return {name: min(taken) for name, taken in times.items()}


def steppers(model: ModelConfig, config: TrainConfig, augment: Augment) -> dict[str, Stepper]:
    """Make one stepper per precision."""
    return {
        name: Stepper(build_network(model), config, augment, accelerator_for(config.device, name))
        for name in ("bf16", "float32")
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--backbone", default=STAND_IN)
    chosen = parser.parse_args()
    device = devices.choose_device(chosen.device)
    config = TrainConfig(epochs=1, device=chosen.device)
    attention = AttentionConfig(backbone=BackboneConfig(name=chosen.backbone))
    backbone = load_backbone(attention.backbone, device)
    augment = Augment(STRENGTHS[config.augment], config.crop)
    size, epoch = config.batch_size, 25
    images = list(training_images(attention, backbone))
    model = ModelConfig(maps=backbone.heads)
    sampler = CropSampler(
        [prepare(image, model, attention) for image in images], config.crop, augment.window, 0
    )
    batch = sampler.batch(0, size)
    on_device = tuple(part.to(device) for part in batch)
    print(f"{devices.words(device)}; {size} crops of {config.crop}², maps by {backbone.words}")
    for arch in ("unet", "diamant"):
        both = steppers(model.model_copy(update={"arch": arch}), config, augment)
        took = best_times(
            device,
            chosen.steps,
            **{name: lambda turn, one=one: one.step(batch, turn, 1.0) for name, one in both.items()},
        )
        ratio = took["float32"] / took["bf16"]
        rate = size / took["bf16"]
        print(
            f"{arch:8} step: bf16 {took['bf16']:.3f} s ({rate:.0f} crops/s), "
            f"float32 {took['float32']:.3f} s, ratio {ratio:.2f}"
        )
    crops = on_device[0][:, :, : config.crop, : config.crop].float()
    parts = best_times(
        device,
        chosen.steps,
        cut=lambda turn: sampler.batch(turn * size, size),
        augment=lambda turn: augment(*on_device, seed=turn),
        step=lambda turn: both["bf16"].step(batch, turn, 1.0),
        maps=lambda turn: backbone.cls_attention(crops),
    )
    cached = epoch * (parts["cut"] + parts["step"])
    recomputed = cached + epoch * parts["maps"]
    print(f"of a batch: cutting {parts['cut']:.3f} s, augmenting {parts['augment']:.3f} s (in the step)")
    print(
        f"epoch of {epoch} steps: maps cached {cached:.1f} s, "
        f"recomputed for every crop {recomputed:.1f} s, ratio {recomputed / cached:.2f}"
    )
    if device.type == "cuda":
        print(f"peak memory {torch.cuda.max_memory_allocated() / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
