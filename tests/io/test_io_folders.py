from __future__ import annotations

from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import zarr

from napari_diamant import io
from napari_diamant.errors import UserError

PIXELS = np.zeros((8, 8), np.uint8)


def _fill(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        if name.endswith(".zarr"):
            zarr.create_array(folder / name, data=PIXELS)
        else:
            imageio.imwrite(folder / name, PIXELS)
    return folder


def test_images_are_listed_by_name_and_nothing_else_is(tmp_path: Path):
    folder = _fill(tmp_path / "images", "b.png", "a.TIF", "c.ome.tif", "d.zarr", ".hidden.png")
    (folder / "notes.txt").write_text("no image")
    (folder / "sub.png").mkdir()
    assert [path.name for path in io.list_images(folder)] == ["a.TIF", "b.png", "c.ome.tif", "d.zarr"]


def test_a_folder_without_images_and_no_folder_are_refused(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(UserError, match=r"at least one \(\.png"):
        io.list_images(tmp_path)
    with pytest.raises(UserError, match="which is none"):
        io.list_images(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.png", "a"),
        ("a.ome.tif", "a"),
        ("a.OME.TIFF", "a"),
        ("a.nii.gz", "a"),
        ("a.ome.zarr", "a"),
        ("TCGA-1.2.3.svs", "TCGA-1.2.3"),
        ("a.other", "a"),
    ],
)
def test_a_stem_is_the_name_without_its_whole_suffix(name: str, stem: str):
    assert io.stem_of(Path("folder") / name) == stem


def test_images_and_masks_pair_by_stem_across_formats(tmp_path: Path):
    images = _fill(tmp_path / "images", "b.png", "a.png")
    masks = _fill(tmp_path / "masks", "a.ome.tif", "b.bmp")
    pairs = io.pair_by_stem(images, masks)
    assert pairs == [(images / "a.png", masks / "a.ome.tif"), (images / "b.png", masks / "b.bmp")]


def test_every_file_without_partner_is_named(tmp_path: Path):
    images, masks = _fill(tmp_path / "images", "a.png", "b.png"), _fill(tmp_path / "masks", "a.png", "c.png")
    with pytest.raises(UserError, match=r"no partner for b\.png, masks/c\.png\."):
        io.pair_by_stem(images, masks)


def test_many_files_without_partner_are_counted(tmp_path: Path):
    images = _fill(tmp_path / "images", "a.png", *(f"{number}.png" for number in range(9)))
    with pytest.raises(UserError, match=r"4\.png and 4 more\."):
        io.pair_by_stem(images, _fill(tmp_path / "masks", "a.png"))


def test_one_stem_for_two_files_is_refused(tmp_path: Path):
    images = _fill(tmp_path / "images", "a.png", "a.tif")
    with pytest.raises(UserError, match=r"a\.png and a\.tif"):
        io.pair_by_stem(images, _fill(tmp_path / "masks", "a.png"))
