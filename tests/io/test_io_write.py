from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile

from napari_diamant import io
from napari_diamant.errors import UserError
from napari_diamant.types import AttentionMaps, Image

IMAGE = Image(np.zeros((30, 40)), spacing=(0.5, 0.25), unit="micrometer")


@pytest.mark.parametrize(
    ("largest", "dtype"), [(0, np.uint8), (3, np.uint8), (300, np.uint16), (70000, np.uint32)]
)
def test_labels_come_back_with_size_spacing_and_the_smallest_type(tmp_path: Path, largest: int, dtype: type):
    labels = np.zeros((30, 40), np.int64)
    labels[4:9, 5:20] = largest
    io.write_labels(tmp_path / "a.ome.tif", labels, IMAGE)
    again = io.read_image(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(again.pixels, labels)
    assert again.pixels.dtype == dtype
    assert (again.spacing, again.unit) == (IMAGE.spacing, IMAGE.unit)


def test_labels_are_compressed_and_leave_no_other_file(tmp_path: Path):
    io.write_labels(tmp_path / "a.ome.tif", np.ones((500, 500), np.uint8))
    assert [path.name for path in tmp_path.iterdir()] == ["a.ome.tif"]
    assert (tmp_path / "a.ome.tif").stat().st_size < 20_000


def test_an_image_without_spacing_gives_labels_without_spacing(tmp_path: Path):
    io.write_labels(tmp_path / "a.ome.tif", np.ones((30, 40), np.uint8), Image(np.zeros((30, 40))))
    assert io.read_image(tmp_path / "a.ome.tif").unit == "pixel"


@pytest.mark.parametrize(
    "labels", [np.full((30, 40), -1), np.zeros((30, 40)), np.zeros((2, 30, 40), np.uint8)]
)
def test_what_is_no_label_image_is_not_written(tmp_path: Path, labels: np.ndarray):
    with pytest.raises(UserError, match="Labels must be"):
        io.write_labels(tmp_path / "a.ome.tif", labels)
    assert list(tmp_path.iterdir()) == []


def test_results_of_another_size_than_the_image_are_refused(tmp_path: Path):
    with pytest.raises(UserError, match=r"got \(40, 30\) for \(30, 40\)"):
        io.write_labels(tmp_path / "a.ome.tif", np.zeros((40, 30), np.uint8), IMAGE)


def test_probabilities_keep_values_and_name_their_classes(tmp_path: Path):
    values = np.random.default_rng(0).random((2, 30, 40)).astype(np.float16)
    io.write_probabilities(tmp_path / "p.ome.tif", values, ("background", "gland"), IMAGE)
    with tifffile.TiffFile(tmp_path / "p.ome.tif") as file:
        assert file.series[0].axes == "CYX"
        channels = ElementTree.fromstring(file.ome_metadata).findall(".//{*}Channel")
        np.testing.assert_array_equal(file.asarray(), values.astype(np.float32))
    assert [channel.get("Name") for channel in channels] == ["background", "gland"]
    with pytest.raises(UserError, match="one plane per class"):
        io.write_probabilities(tmp_path / "p.ome.tif", values, ("background",), IMAGE)


@pytest.mark.parametrize("heads", [1, 3, 6])
def test_heads_are_written_as_head_rows_columns(tmp_path: Path, heads: int):
    maps = np.random.default_rng(0).random((heads, 5, 7)).astype(np.float32)
    io.write_maps(tmp_path / "m.ome.tif", AttentionMaps(maps, (8.0, 8.0), (40, 50), "vit", "abc", True, 11))
    stored = tifffile.imread(tmp_path / "m.ome.tif")
    assert stored.dtype == np.float32
    np.testing.assert_array_equal(stored.reshape(maps.shape), maps)
    np.testing.assert_array_equal(
        io.read_image(tmp_path / "m.ome.tif").pixels, np.moveaxis(maps, 0, -1).squeeze()
    )
