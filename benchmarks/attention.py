"""Heads per second and peak memory: the class token's row alone against the full attention matrix.

``python benchmarks/attention.py`` runs every case in a process of its own, so that peaks do not mix, on
random weights (they do not change the work). "full matrix" is what DINO's ``visualize_attention.py`` does:
every block forms the whole attention matrix. All blocks but the last are alike, so two of them are timed and
counted as all. Peak memory is what a case needs beyond the loaded transformer.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import subprocess
import sys
import time

import psutil
import torch

from napari_diamant.config import BackboneConfig
from napari_diamant.engine.device import precision, words
from napari_diamant.models.backbones import BACKBONES, Backbone, load_backbone
from napari_diamant.models.vit import cls_row

CPU = torch.device("cpu")
FULL, ROW, ROW_BF16 = "full matrix, float32", "CLS row, float32", "CLS row, bf16"
NAMES, SIDES = ("dino-vits16", "dino-vits8"), (480, 1024)


TIMED = 2


def seconds(backbone: Backbone, image: torch.Tensor, method: str) -> float:
    """Compute the row of the last block, with `TIMED` blocks before it, and count those as all."""
    if method == FULL:
        for block in backbone.vit.blocks:
            block.attn.fused_attn = False
    last = backbone.vit.blocks[-1]
    bf16 = torch.autocast("cpu", dtype=torch.bfloat16) if method == ROW_BF16 else contextlib.nullcontext()
    with torch.no_grad(), bf16:
        tokens, _ = backbone._embed(image)
        start = time.perf_counter()
        for block in backbone.vit.blocks[:TIMED]:
            tokens = block(tokens)
        middle = time.perf_counter()
        if method == FULL:
            last.attn(last.norm1(tokens))
        else:
            cls_row(last, tokens)
    return (middle - start) / TIMED * (backbone.blocks - 1) + time.perf_counter() - middle


def measure(name: str, side: int, method: str) -> dict[str, float]:
    """Time one case in this process, after a small warm-up."""
    backbone = load_backbone(BackboneConfig(name=name, weights="random"), CPU)
    seconds(backbone, torch.zeros(1, 3, 64, 64), method)
    image = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    resting = psutil.Process().memory_info().rss
    taken = seconds(backbone, image, method)
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"heads_per_second": backbone.heads / taken, "megabytes": (peak - resting) / 2**20}


def needed(name: str, side: int) -> int:
    """Bytes of two matrices (before and after the softmax) with room for the rest."""
    spec = BACKBONES[name]
    tokens = 1 + (side // spec.patch) ** 2
    return int(2.2 * spec.heads * tokens**2 * 4) + 2**30


def in_own_process(name: str, side: int, method: str) -> dict[str, float] | None:
    free = psutil.virtual_memory().available
    if method == FULL and needed(name, side) > free:
        print(
            f"{name:12} {side:>5}² {FULL:22} left out: it needs {needed(name, side) / 2**30:.0f} GiB, "
            f"{free / 2**30:.0f} are free"
        )
        return None
    command = [sys.executable, __file__, "--case", name, str(side), method]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def report(name: str, side: int, methods: list[str]) -> None:
    base = in_own_process(name, side, FULL)
    for method in [FULL, *methods]:
        found = base if method == FULL else in_own_process(name, side, method)
        if found is None:
            continue
        ratio = ""
        if base is not None and method != FULL:
            faster = found["heads_per_second"] / base["heads_per_second"]
            ratio = f"{faster:6.1f} × as fast, {base['megabytes'] / found['megabytes']:6.1f} × less memory"
        numbers = f"{found['heads_per_second']:9.2f} {found['megabytes']:9.0f}"
        print(f"{name:12} {side:>5}² {method:22} {numbers}   {ratio}".rstrip(), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", nargs=3, metavar=("NAME", "SIDE", "METHOD"), help="one case, as JSON")
    case = parser.parse_args().case
    if case:
        print(json.dumps(measure(case[0], int(case[1]), case[2])))
        return
    print(f"Attention of the class token, random weights; {words(CPU)}")
    print(f"{'transformer':12} {'image':>6} {'method':22} {'heads/s':>9} {'peak MiB':>9}")
    # bf16 is measured where the package would take it; elsewhere it is emulated and tells nothing.
    methods = [ROW, ROW_BF16] if precision("auto", CPU) is torch.bfloat16 else [ROW]
    for name in NAMES:
        for side in SIDES:
            report(name, side, methods)


if __name__ == "__main__":
    main()
