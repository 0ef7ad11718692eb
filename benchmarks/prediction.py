"""How long a prediction takes: bf16 against float32, and windows against the whole image.

Run ``python benchmarks/prediction.py [--device NAME] [--turns N]``. The sides of a ratio take turns, so that
a busy machine slows both, and the shortest of each side's times counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from napari_diamant.config import AttentionConfig, ModelCard, ModelConfig
from napari_diamant.engine.device import choose_device, words
from napari_diamant.engine.predict import predict
from napari_diamant.models.build import build_network
from napari_diamant.types import AttentionMaps

SIDE = 1024
TILE = 512
PATCH = 16


def shortest(device: torch.device, turns: int, **works: Callable[[], object]) -> dict[str, float]:
    """Give the shortest of each work's times in seconds; the first turn does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(turns + 1):
        for name, work in works.items():
            began = time.perf_counter()
            work()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds[name].append(time.perf_counter() - began)
    return {name: min(taken[1:]) for name, taken in seconds.items()}


def forward(config: ModelConfig, device: torch.device, turns: int) -> dict[str, float]:
    """Time the forward pass of one image alone, in both precisions."""
    network = build_network(config).to(device).eval()
    image = torch.rand(1, config.image_channels, SIDE, SIDE, device=device)
    maps = torch.rand(1, config.maps, SIDE, SIDE, device=device)

    def work(half: bool) -> None:
        with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=half):
            network(image, maps)

    return shortest(device, turns, float32=lambda: work(False), bf16=lambda: work(True))


def whole_and_windows(device: torch.device, turns: int) -> dict[str, float]:
    """Time all of `predict`, from the pixels and the maps to the labels."""
    card = ModelCard(model=ModelConfig(), attention=AttentionConfig())
    network = build_network(card.model).to(device)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)
    cells = rng.random((card.model.maps, SIDE // PATCH, SIDE // PATCH), dtype=np.float32)
    maps = AttentionMaps(cells, (PATCH, PATCH), (SIDE, SIDE), "random", "", False, 11)

    def work(tile: int) -> None:
        predict(network, card, pixels, maps, tile=tile)

    return shortest(device, turns, whole=lambda: work(SIDE), windows=lambda: work(TILE))


def main() -> None:
    """Print one line per measurement, each with its ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    device = choose_device(options.device)
    print(f"{words(device)}, image {SIDE} x {SIDE}, default widths")
    for arch in ("unet", "diamant"):
        s = forward(ModelConfig(arch=arch), device, options.turns)
        print(
            f"{arch}, forward: float32 {s['float32']:.3f} s, bf16 {s['bf16']:.3f} s: "
            f"{s['float32'] / s['bf16']:.1f} times as fast"
        )
    s = whole_and_windows(device, options.turns)
    print(
        f"diamant, predict: whole {s['whole']:.3f} s, windows of {TILE} {s['windows']:.3f} s: "
        f"{s['windows'] / s['whole']:.2f} times as long"
    )


if __name__ == "__main__":
    main()
