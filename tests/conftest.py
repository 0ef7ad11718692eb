"""What several tests share: the sample images, and the real ones where they are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from napari_diamant import io

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def sample_folder() -> Path:
    """Give the folder of the project's own synthetic images."""
    return io.sample_folder()


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Give the folder of real annotated images; tests that use it bear the marker ``data``."""
    named = os.environ.get("NAPARI_DIAMANT_DATA")
    folder = Path(named) if named else CHECKOUT.parent / "shared" / "data"
    if not (folder / "dsb2018").is_dir():
        pytest.skip(f"no real images in {folder}: set NAPARI_DIAMANT_DATA to the folder that holds dsb2018/")
    return folder
