"""Readers, writer and sample data give napari what it can show."""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as iio
import nibabel
import numpy as np
import pytest
import tifffile
from napari.layers import Labels, Layer

from napari_diamant.errors import UserError
from napari_diamant.gui import sample_data
from napari_diamant.gui.drop import sort_paths
from napari_diamant.gui.reader import folder_reader, image_layer, next_sample, volume_reader
from napari_diamant.gui.writer import write_labels
from napari_diamant.io import read_labels
from napari_diamant.project import Project
from napari_diamant.types import Image, Sample


@pytest.fixture
def nifti(tmp_path: Path) -> Path:
    path = tmp_path / "brain.nii.gz"
    voxels = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
    nibabel.save(nibabel.Nifti1Image(voxels, np.diag([0.5, 2.0, 3.0, 1.0])), path)
    return path


@pytest.fixture
def project(tmp_path: Path):
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    for name in "ab":
        iio.imwrite(tmp_path / f"{name}.png", pixels + ord(name))
    with Project.create(tmp_path / "project") as made:
        made.add([tmp_path / "a.png", tmp_path / "b.png"])
        made.set_reviewed(1, True)
        made.record(2, (4, 5), np.ones((3, 3), np.int16), "paint")
        yield made


def test_a_nifti_file_becomes_a_volume_with_its_voxel_size(nifti):
    (layer_data,) = volume_reader(str(nifti))(str(nifti))
    layer = Layer.create(*layer_data)
    assert layer.data.shape == (4, 3, 2)
    assert np.allclose(layer.scale, (3.0, 2.0, 0.5))
    assert layer.name == "brain"


def test_readers_leave_other_files_to_others(tmp_path):
    assert volume_reader("picture.tif") is None
    assert folder_reader(str(tmp_path)) is None


def test_a_project_folder_or_its_database_opens_at_the_first_image_not_reviewed(project):
    for path in (project.folder, project.folder / "project.db"):
        image, mask = (Layer.create(*data) for data in folder_reader(str(path))(str(path)))
        assert (image.name, image.metadata["diamant"]["sample"]) == ("b", 2)
        assert mask.data[4, 5] == 1
        assert mask.data.sum() == 9


def test_an_empty_project_opens_without_a_layer(tmp_path):
    Project.create(tmp_path / "empty").close()
    folder = str(tmp_path / "empty")
    assert folder_reader(folder)(folder) == [(None,)]


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        ((20, 30), np.uint16, {}),
        ((20, 30, 3), np.uint8, {"rgb": True}),
        ((20, 30, 5), np.float32, {"channel_axis": 2}),
    ],
)
def test_grey_rgb_and_many_channels_are_told_apart(shape, dtype, expected):
    _, options, kind = image_layer(Image(np.zeros(shape, dtype), (0.5, 0.5), "micrometer"), "x")
    assert kind == "image"
    assert {key: options[key] for key in ("rgb", "channel_axis") if key in options} == expected
    assert options["units"] == ("micrometer", "micrometer")


def test_the_next_image_goes_round_and_passes_over_what_is_reviewed():
    samples = [Sample(n, str(n), Path(f"{n}.png"), (1, 1), reviewed=n == 2) for n in (1, 2, 3)]
    assert next_sample(samples).id == 1
    assert next_sample(samples, 1).id == 3
    assert next_sample(samples, 3).id == 1
    assert next_sample([], 3) is None
    assert next_sample(samples[1:2], 2).id == 2


def test_written_labels_are_read_back_with_the_size_of_a_pixel(tmp_path):
    labels = np.random.default_rng(0).integers(0, 3, (20, 30), np.uint8)
    path = tmp_path / "mask.ome.tif"
    layer = Labels(labels, scale=(0.25, 0.5), units=("um", "um"))
    assert write_labels(str(path), *layer.as_layer_data_tuple()[:2]) == [str(path)]
    assert np.array_equal(read_labels(path), labels)
    with tifffile.TiffFile(path) as file:
        assert 'PhysicalSizeY="0.25"' in file.ome_metadata


def test_a_volume_of_labels_is_refused(tmp_path):
    with pytest.raises(UserError, match="two axes"):
        write_labels(str(tmp_path / "x.tif"), np.zeros((2, 3, 4), np.uint8), {})


@pytest.mark.parametrize("name", ["tissue", "fluorescence", "immunohistochemistry", "retina"])
def test_every_sample_is_a_single_plane(name):
    (data,) = getattr(sample_data, name)()
    assert Layer.create(*data).ndim == 2


def test_dropped_paths_are_sorted_by_what_they_are(project, nifti, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for name in ("2.png", "1.png"):
        iio.imwrite(pictures / name, np.zeros((8, 8), np.uint8))
    (pictures / "notes.txt").write_text("no image")
    dropped = sort_paths([pictures, project.folder, nifti, tmp_path / "a.png"])
    assert dropped.project == project.folder
    assert dropped.volumes == [nifti]
    assert [path.name for path in dropped.images] == ["1.png", "2.png", "a.png"]


def test_a_folder_without_images_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(UserError):
        sort_paths([tmp_path])
