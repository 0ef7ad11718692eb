"""Make the sample images again: ``python sample_data/generate.py [FOLDER]``.

The same seeds give the same pixels; every mask is exact, since it is what the image was drawn from.
"""

from __future__ import annotations

import sys
import uuid
from pathlib import Path

import fluorescence
import imageio.v3 as imageio
import numpy as np
import tifffile
import tissue

IMAGES = 6
MICROMETRES = 0.325


def main(folder: Path) -> None:
    """Write all images and masks below `folder`."""
    for part in ("tissue/images", "tissue/masks", "tissue/nuclei", "nuclei/images", "nuclei/masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for number in range(1, IMAGES + 1):
        colours, glands, nuclei = tissue.draw(np.random.default_rng([number, 1]))
        name = f"tissue_{number}.png"
        imageio.imwrite(folder / "tissue" / "images" / name, colours, optimize=True)
        _write_mask(folder / "tissue" / "masks" / name, glands)
        _write_mask(folder / "tissue" / "nuclei" / name, nuclei)
        counts, mask = fluorescence.draw(np.random.default_rng([number, 2]))
        _write_counts(folder / "nuclei" / "images" / f"nuclei_{number}.tif", counts)
        _write_mask(folder / "nuclei" / "masks" / f"nuclei_{number}.png", mask)


def _write_mask(path: Path, mask: np.ndarray) -> None:
    imageio.imwrite(path, np.where(mask, 255, 0).astype(np.uint8), optimize=True)


def _write_counts(path: Path, counts: np.ndarray) -> None:
    name = uuid.uuid5(uuid.NAMESPACE_URL, path.name)  # tifffile draws one by chance otherwise
    size = {"PhysicalSizeY": MICROMETRES, "PhysicalSizeX": MICROMETRES}
    metadata = {"axes": "YX", "UUID": name.urn, **size}
    tifffile.imwrite(path, counts, ome=True, compression="zlib", predictor=True, metadata=metadata)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
