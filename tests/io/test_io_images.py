from __future__ import annotations

import warnings
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
import zarr

from napari_diamant import io
from napari_diamant.errors import UserError

RNG = np.random.default_rng(0)
GREY8 = RNG.integers(0, 256, (40, 52), dtype=np.uint8)
GREY16 = RNG.integers(0, 65536, (40, 52), dtype=np.uint16)
COLOUR = RNG.integers(0, 256, (40, 52, 3), dtype=np.uint8)
OPAQUE = np.dstack([COLOUR, np.full((40, 52), 255, np.uint8)])
REAL = RNG.normal(size=(40, 52)).astype(np.float32)
STACK = RNG.integers(0, 65536, (5, 40, 52), dtype=np.uint16)


@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        ("a.png", GREY8),
        ("a.PNG", COLOUR),
        ("a.png", OPAQUE),
        ("a.png", GREY16),
        ("a.bmp", COLOUR),
        ("a.tif", GREY16),
        ("a.tiff", REAL),
        ("a.tif", COLOUR),
        ("a.tif", GREY16.astype(">u2")),
        ("a.png", GREY8 > 99),
    ],
)
def test_lossless_files_give_back_their_pixels_and_type(tmp_path: Path, name: str, pixels: np.ndarray):
    imageio.imwrite(tmp_path / name, pixels)
    image = io.read_image(tmp_path / name)
    np.testing.assert_array_equal(image.pixels, pixels)
    assert image.pixels.dtype == pixels.dtype.newbyteorder("=")
    assert image.pixels.dtype.isnative
    assert (image.spacing, image.unit, image.path) == ((1.0, 1.0), "pixel", tmp_path / name)


@pytest.mark.parametrize("name", ["a.jpg", "a.jpeg", "a.gif"])
def test_lossy_files_give_nearly_their_pixels(tmp_path: Path, name: str):
    smooth = np.add.outer(np.arange(40), np.arange(52)).astype(np.uint8)
    imageio.imwrite(tmp_path / name, smooth)
    pixels = io.read_image(tmp_path / name).pixels
    assert pixels.shape[:2] == (40, 52)
    grey = pixels if pixels.ndim == 2 else pixels[..., 0]
    assert np.abs(grey.astype(int) - smooth).max() <= 6


def test_content_decides_before_the_name(tmp_path: Path):
    tifffile.imwrite(tmp_path / "truly.tif", GREY16)
    (tmp_path / "truly.tif").rename(tmp_path / "seemingly.png")
    np.testing.assert_array_equal(io.read_image(tmp_path / "seemingly.png").pixels, GREY16)


@pytest.mark.parametrize("compression", ["zlib", "lzw", "jpeg2000", "zstd"])
def test_compressed_tiles_are_decoded(tmp_path: Path, compression: str):
    tifffile.imwrite(tmp_path / "a.tif", GREY16, tile=(16, 16), compression=compression)
    np.testing.assert_array_equal(io.read_image(tmp_path / "a.tif").pixels, GREY16)


@pytest.mark.parametrize(
    ("axes", "pixels"),
    [
        ("CYX", STACK),
        ("YXC", STACK.transpose(1, 2, 0)),
        ("TCZYX", STACK[None, :, None]),
        ("CXY", STACK.transpose(0, 2, 1)),
    ],
)
def test_channels_of_an_ome_tiff_come_last(tmp_path: Path, axes: str, pixels: np.ndarray):
    if axes in ("YXC", "CXY"):  # OME-TIFF has planes in Y and X only; Zarr names any order
        names = [axis.lower() for axis in axes]
        zarr.create_array(tmp_path / "a.zarr", data=np.ascontiguousarray(pixels), dimension_names=names)
        image = io.read_image(tmp_path / "a.zarr")
    else:
        tifffile.imwrite(tmp_path / "a.ome.tif", pixels, ome=True, metadata={"axes": axes})
        image = io.read_image(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(image.pixels, STACK.transpose(1, 2, 0))


@pytest.mark.parametrize("first", [True, False])
def test_a_short_axis_without_a_name_is_the_channels(tmp_path: Path, first: bool):
    pixels = STACK if first else np.ascontiguousarray(STACK.transpose(1, 2, 0))
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack")
    np.testing.assert_array_equal(io.read_image(tmp_path / "a.tif").pixels, STACK.transpose(1, 2, 0))


def test_of_a_pyramid_the_full_resolution_is_read(tmp_path: Path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as writer:
        writer.write(COLOUR, subifds=1, tile=(16, 16), photometric="rgb")
        writer.write(COLOUR[::2, ::2], subfiletype=1, tile=(16, 16), photometric="rgb")
    np.testing.assert_array_equal(io.read_image(tmp_path / "a.ome.tif").pixels, COLOUR)


@pytest.mark.parametrize("symbol", ["um", "micron", "\\u00B5m"])
def test_imagej_files_tell_the_size_of_a_pixel(tmp_path: Path, symbol: str):
    tifffile.imwrite(
        tmp_path / "a.tif", GREY16, imagej=True, resolution=(4.0, 2.0), metadata={"unit": symbol}
    )
    image = io.read_image(tmp_path / "a.tif")
    assert image.spacing == pytest.approx((0.5, 0.25))
    assert image.unit == "micrometer"


def test_ome_files_tell_the_size_of_a_pixel(tmp_path: Path):
    size = {
        "PhysicalSizeY": 325.0,
        "PhysicalSizeX": 650.0,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeYUnit": "nm",
    }
    tifffile.imwrite(tmp_path / "a.ome.tif", GREY16, ome=True, metadata={"axes": "YX", **size})
    image = io.read_image(tmp_path / "a.ome.tif")
    assert (image.spacing, image.unit) == ((325.0, 650.0), "nanometer")


@pytest.mark.parametrize(
    ("unit", "spacing", "name"), [("CENTIMETER", (0.5, 0.5), "micrometer"), ("INCH", (1.0, 1.0), "pixel")]
)
def test_a_resolution_counts_per_centimetre_but_not_per_inch(
    tmp_path: Path, unit: str, spacing: tuple, name: str
):
    tifffile.imwrite(tmp_path / "a.tif", GREY16, resolution=(20000, 20000), resolutionunit=unit)
    image = io.read_image(tmp_path / "a.tif")
    assert image.spacing == pytest.approx(spacing)
    assert image.unit == name


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_of_both_versions_is_read_with_its_spacing(tmp_path: Path, version: str):
    multiscales = [
        {
            "version": version,
            "axes": [
                {"name": "c", "type": "channel"},
                {"name": "y", "type": "space", "unit": "micrometer"},
                {"name": "x", "type": "space", "unit": "micrometer"},
            ],
            "datasets": [
                {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 0.5, 0.25]}]},
                {"path": "1", "coordinateTransformations": [{"type": "scale", "scale": [1, 1.0, 0.5]}]},
            ],
        }
    ]
    new = version == "0.5"
    group = zarr.create_group(tmp_path / "a.ome.zarr", zarr_format=3 if new else 2)
    group.attrs.update(
        {"ome": {"version": version, "multiscales": multiscales}} if new else {"multiscales": multiscales}
    )
    group.create_array("0", data=STACK)
    group.create_array("1", data=np.ascontiguousarray(STACK[:, ::2, ::2]))
    image = io.read_image(tmp_path / "a.ome.zarr")
    np.testing.assert_array_equal(image.pixels, STACK.transpose(1, 2, 0))
    assert (image.spacing, image.unit) == ((0.5, 0.25), "micrometer")


def test_what_the_ome_zarr_library_writes_is_read(tmp_path: Path):
    from ome_zarr.writer import write_image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library warns about its own arguments
        write_image(STACK, str(tmp_path / "a.ome.zarr"), axes="cyx")
    np.testing.assert_array_equal(io.read_image(tmp_path / "a.ome.zarr").pixels, STACK.transpose(1, 2, 0))


def test_a_palette_is_read_as_the_colours_it_shows(tmp_path: Path):
    from PIL import Image

    shown = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), mode="P")
    shown.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    shown.save(tmp_path / "a.png")
    np.testing.assert_array_equal(io.read_image(tmp_path / "a.png").pixels[0], [[255, 0, 0], [0, 255, 0]])


def test_hash_depends_on_type_shape_and_values_only():
    hashes = {
        io.content_hash(GREY16),
        io.content_hash(GREY16.T),
        io.content_hash(GREY16.astype(np.int32)),
        io.content_hash(GREY16 ^ 1),
        io.content_hash(GREY16.reshape(52, 40)),
    }
    assert len(hashes) == 5
    assert (
        io.content_hash(GREY16)
        == io.content_hash(GREY16.astype(">u2"))
        == io.content_hash(np.asfortranarray(GREY16))
    )


def test_renamed_and_converted_files_keep_their_hash(tmp_path: Path):
    imageio.imwrite(tmp_path / "a.png", GREY16)
    tifffile.imwrite(tmp_path / "b.tif", GREY16, byteorder=">")
    first, second = (io.content_hash(io.read_image(tmp_path / name).pixels) for name in ("a.png", "b.tif"))
    assert first == second


@pytest.mark.data
def test_real_slides_are_read_at_full_resolution(data_folder: Path):
    jpeg = io.read_image(data_folder / "wsi" / "cmu-1-small-region.svs")
    assert jpeg.pixels.shape == (2967, 2220, 3)
    assert (jpeg.spacing, jpeg.unit) == ((0.499, 0.499), "micrometer")
    assert (jpeg.pixels.mean(axis=(0, 1)) > 150).all()  # bright field: mostly background
    assert io.read_image(data_folder / "wsi" / "tcga-cr-7395-01a-01-ts1.svs").pixels.shape == (3567, 4443, 3)


@pytest.mark.data
@pytest.mark.parametrize("name", ["dsb2018", "glas", "monuseg"])
def test_real_images_pair_with_masks_of_their_size(data_folder: Path, name: str):
    pairs = io.pair_by_stem(data_folder / name / "images", data_folder / name / "masks")
    for image, mask in pairs[::25]:
        labels = io.read_labels(mask)
        assert io.read_image(image).shape == labels.shape
        assert set(np.unique(labels)) <= {0, 1}


def test_an_unknown_suffix_is_refused_with_the_known_ones(tmp_path: Path):
    (tmp_path / "a.docx").write_bytes(b"PK\3\4")
    with pytest.raises(UserError, match=r"PNG, JPEG, BMP, GIF, TIFF, NIfTI, DICOM, Zarr, got a\.docx"):
        io.read_image(tmp_path / "a.docx")
