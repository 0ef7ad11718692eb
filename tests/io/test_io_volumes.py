from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import tifffile
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from napari_diamant import io
from napari_diamant.errors import UserError

VOLUME = np.random.default_rng(0).integers(-1000, 2000, (7, 20, 24), dtype=np.int16)


def _nifti(path: Path, array: np.ndarray, zooms: tuple[float, float, float]) -> Path:
    image = nibabel.Nifti1Image(array, np.diag([*zooms, 1.0]))
    nibabel.save(image, path)
    return path


def _slice(folder: Path, plane: np.ndarray, height: float, series: str, **tags: object) -> Path:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = folder / f"{generate_uid()[-12:]}.dcm"
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SeriesInstanceUID = series
    data.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    data.ImagePositionPatient = [-5, -7, height]
    data.PixelSpacing = [0.8, 0.6]
    data.Rows, data.Columns = plane.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
    data.RescaleSlope, data.RescaleIntercept = 1, 0
    data.PixelData = plane.astype("<i2").tobytes()
    for name, value in tags.items():
        setattr(data, name, value)
    data.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_nifti_comes_with_its_axes_reversed(tmp_path: Path, name: str):
    path = _nifti(tmp_path / name, VOLUME.T, (0.5, 1.0, 3.0))
    values, spacing, unit = io.read_volume(path)
    np.testing.assert_array_equal(values, VOLUME)
    assert values.dtype == np.int16
    assert (spacing, unit) == ((3.0, 1.0, 0.5), "millimeter")


def test_nifti_slope_and_intercept_are_applied(tmp_path: Path):
    stored = nibabel.Nifti1Image(VOLUME.T, np.eye(4))
    stored.header.set_slope_inter(4, 10)
    nibabel.save(stored, tmp_path / "a.nii")
    values = io.read_volume(tmp_path / "a.nii")[0]
    np.testing.assert_array_equal(values, VOLUME * 4.0 + 10)
    assert values.dtype == np.float32


def test_a_single_slice_of_nifti_is_an_image(tmp_path: Path):
    path = _nifti(tmp_path / "a.nii.gz", VOLUME[:1].T, (0.5, 1.0, 3.0))
    image = io.read_image(path)
    np.testing.assert_array_equal(image.pixels, VOLUME[0])
    assert (image.spacing, image.unit) == ((1.0, 0.5), "millimeter")


def test_a_series_is_sorted_by_place_whatever_its_names(tmp_path: Path):
    series = generate_uid()
    for index in np.random.default_rng(1).permutation(len(VOLUME)):
        _slice(tmp_path, VOLUME[index], height=2.5 * index - 40, series=series)
    values, spacing, unit = io.read_volume(tmp_path)
    np.testing.assert_array_equal(values, VOLUME)
    assert spacing == pytest.approx((2.5, 0.8, 0.6))
    assert unit == "millimeter"


def test_a_series_skips_reports_and_foreign_files(tmp_path: Path):
    series = generate_uid()
    for index, plane in enumerate(VOLUME):
        _slice(tmp_path, plane, height=index, series=series)
    report = pydicom.dcmread(_slice(tmp_path, VOLUME[0], height=99, series=series))
    del report.PixelData
    report.save_as(report.filename)
    (tmp_path / "notes.txt").write_text("about the patient")
    assert io.read_volume(tmp_path)[0].shape == VOLUME.shape


def test_one_dicom_file_is_an_image_in_the_units_of_its_modality(tmp_path: Path):
    path = _slice(tmp_path, VOLUME[0], 0, generate_uid(), RescaleSlope=2, RescaleIntercept=-1024)
    image = io.read_image(path)
    np.testing.assert_allclose(image.pixels, VOLUME[0] * 2.0 - 1024)
    assert (image.spacing, image.unit) == ((0.8, 0.6), "millimeter")


def test_dicom_without_suffix_and_with_inverted_greys_is_read(tmp_path: Path):
    path = _slice(tmp_path, VOLUME[0], 0, generate_uid(), PhotometricInterpretation="MONOCHROME1")
    path = path.rename(tmp_path / "IM000001")
    pixels = io.read_image(path).pixels
    np.testing.assert_array_equal(pixels.argsort(axis=None, kind="stable")[-1:], [VOLUME[0].argmin()])


def test_two_series_in_one_folder_are_refused(tmp_path: Path):
    for index, plane in enumerate(VOLUME):
        _slice(tmp_path, plane, height=index, series=generate_uid())
    with pytest.raises(UserError, match=f"got {len(VOLUME)} series"):
        io.read_volume(tmp_path)


def test_dicom_without_pixels_is_refused(tmp_path: Path):
    path = _slice(tmp_path, VOLUME[0], 0, generate_uid())
    data = pydicom.dcmread(path)
    del data.PixelData
    data.save_as(path)
    with pytest.raises(UserError, match="must hold an image"):
        io.read_image(path)


def test_dicom_that_ends_early_is_refused(tmp_path: Path):
    path = _slice(tmp_path, VOLUME[0], 0, generate_uid())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="readable DICOM"):
        io.read_image(path)


def test_a_stack_with_named_axes_is_a_volume(tmp_path: Path):
    size = {"PhysicalSizeZ": 2.0, "PhysicalSizeY": 0.5, "PhysicalSizeX": 0.5}
    tifffile.imwrite(tmp_path / "a.ome.tif", VOLUME, ome=True, metadata={"axes": "ZYX", **size})
    values, spacing, unit = io.read_volume(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(values, VOLUME)
    assert (spacing, unit) == ((2.0, 0.5, 0.5), "micrometer")


@pytest.mark.parametrize(("shape", "words"), [((7, 20, 24, 3), "one moment"), ((20, 24), "must have depth")])
def test_what_is_no_volume_is_refused_and_named(tmp_path: Path, shape: tuple[int, ...], words: str):
    path = _nifti(tmp_path / "a.nii", np.zeros(shape, np.int16), (1.0, 1.0, 1.0))
    with pytest.raises(UserError, match=words):
        io.read_volume(path)


def test_a_volume_is_refused_where_an_image_is_wanted(tmp_path: Path):
    path = _nifti(tmp_path / "a.nii.gz", VOLUME.T, (1, 1, 1))
    with pytest.raises(UserError, match=r"shape \(7, 20, 24\) \(axes ZYX\)"):
        io.read_image(path)


@pytest.mark.data
def test_real_volumes_and_their_masks_lie_on_one_grid(data_folder: Path):
    pairs = io.pair_by_stem(data_folder / "hippocampus" / "images", data_folder / "hippocampus" / "masks")
    for image, mask in pairs[::60]:
        values, spacing, unit = io.read_volume(image)
        assert values.shape == io.read_volume(mask)[0].shape
        assert (spacing, unit) == ((1.0, 1.0, 1.0), "millimeter")
