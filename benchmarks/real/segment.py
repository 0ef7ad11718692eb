"""Train, predict and evaluate on real annotated images through the command line (`make bench-real`).

The data folder is taken from NAPARI_DIAMANT_DATA: `images/` and `masks/` of each set, paired by stem. Images
are taken in an order that a hash of their names gives, so that no choice is ours; the first go into training,
the next into the test. Options that are not listed here go to `train`, such as `--batch-size 4`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAM = [sys.executable, "-m", "napari_diamant"]


def run(*words: str) -> dict[str, object]:
    """Run a verb and give its result object."""
    lines = subprocess.run([*PROGRAM, *words, "--json"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(lines.splitlines()[-1])


def link(names: list[str], source: Path, target: Path) -> None:
    """Lay links to the images and masks of these stems into a folder of their own."""
    for kind in ("images", "masks"):
        (target / kind).mkdir(parents=True)
        for path in (source / kind).iterdir():
            if path.stem in names:
                (target / kind / path.name).symlink_to(path.resolve())


def main() -> int:
    """Print one line of JSON per architecture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", default="dsb2018")
    parser.add_argument("--train", type=int, default=64)
    parser.add_argument("--test", type=int, default=64)
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--arch", nargs="*", default=["diamant", "unet"])
    parser.add_argument("--seed", type=int, default=0)
    asked, recipe = parser.parse_known_args()
    data = Path(os.environ.get("NAPARI_DIAMANT_DATA", "")) / asked.set
    if not (data / "images").is_dir():
        print(
            f"Skipped: NAPARI_DIAMANT_DATA must name a folder with {asked.set}/images and {asked.set}/masks."
        )
        return 0
    stems = sorted(
        (path.stem for path in (data / "images").iterdir()),
        key=lambda stem: hashlib.sha256(stem.encode()).hexdigest(),
    )
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        link(stems[: asked.train], data, work / "train")
        link(stems[asked.train : asked.train + asked.test], data, work / "test")
        for arch in asked.arch:
            print(json.dumps(measure(arch, work, asked, recipe)), flush=True)
    return 0


def measure(arch: str, work: Path, asked: argparse.Namespace, recipe: list[str]) -> dict[str, object]:
    """Train one architecture and score it on the test images."""
    model, start = str(work / f"{arch}.safetensors"), time.perf_counter()
    options = ["--minutes", str(asked.minutes), "--seed", str(asked.seed)]
    pairs = [
        ["--images", str(work / part / "images"), "--masks", str(work / part / "masks")]
        for part in ("train", "test")
    ]
    run("train", *pairs[0], "--arch", arch, "--out", model, *options, *recipe)
    trained = time.perf_counter()
    scores = run("evaluate", *pairs[1], "--model", model)
    return {
        "set": asked.set,
        "arch": arch,
        "train": asked.train,
        "test": asked.test,
        "recipe": recipe,
        "train_seconds": round(trained - start),
        "evaluate_seconds": round(time.perf_counter() - trained),
        "mean": scores["mean"],
    }


if __name__ == "__main__":
    sys.exit(main())
