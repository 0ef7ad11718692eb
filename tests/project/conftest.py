"""A project with two small images, made anew for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pictures import write_image

from napari_diamant.project import Project


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Give a folder with the images ``a.png`` and ``b.png``, 48 by 64 pixels."""
    for seed, name in enumerate("ab"):
        write_image(tmp_path / "images" / f"{name}.png", seed)
    return tmp_path / "images"


@pytest.fixture
def project(tmp_path: Path, images: Path) -> Iterator[Project]:
    """Give a project with these images as samples 1 and 2."""
    with Project.create(tmp_path / "project") as made:
        made.add([images])
        yield made
