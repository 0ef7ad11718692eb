from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import imageio.v3 as imageio
import nibabel
import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_diamant import io
from napari_diamant.errors import UserError

COLOUR = np.random.default_rng(0).integers(0, 256, (40, 52, 3), dtype=np.uint8)
NAMES = ["a.png", "a.jpg", "a.bmp", "a.gif", "plain.tif", "zlib.tif", "a.nii", "a.nii.gz"]


def _whole(folder: Path, name: str) -> Path:
    path = folder / name
    if name.endswith(".tif"):
        tifffile.imwrite(path, COLOUR, compression="zlib" if "zlib" in name else None)
    elif ".nii" in name:
        nibabel.save(nibabel.Nifti1Image(COLOUR[..., 0], np.eye(4)), path)
    else:
        imageio.imwrite(path, COLOUR[..., 0] if name.endswith("gif") else COLOUR)
    return path


def _one_sentence_about(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        io.read_image(path)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    assert 40 < len(message) < 400
    return message


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("share", [0.03, 0.5, 0.9])
def test_a_truncated_file_is_refused_in_one_sentence(tmp_path: Path, name: str, share: float):
    path = _whole(tmp_path, name)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    _one_sentence_about(path)


@pytest.mark.parametrize("name", [*NAMES, "a.dcm", "a.svs"])
def test_an_empty_file_and_a_text_are_refused_in_one_sentence(tmp_path: Path, name: str):
    path = tmp_path / name
    path.write_bytes(b"")
    assert "0 bytes" in _one_sentence_about(path)
    path.write_text("These are words, not pixels.\n" * 30)
    _one_sentence_about(path)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 400), junk=st.binary(min_size=1, max_size=12))
def test_overwritten_bytes_give_an_image_or_a_sentence(tmp_path: Path, name: str, at: int, junk: bytes):
    path = _whole(tmp_path, name)
    content = bytearray(path.read_bytes())
    at = min(at, len(content) - 1)
    content[at : at + len(junk)] = junk
    path.write_bytes(content)
    try:
        image = io.read_image(path)
    except UserError:
        return
    assert image.pixels.size > 0
    assert image.pixels.ndim in (2, 3)


def _png_that_claims(path: Path, width: int, height: int) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")
    )


def _tiff_that_claims(path: Path, width: int, height: int) -> None:
    tifffile.imwrite(path, COLOUR)
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags["ImageWidth"].overwrite(width)
        file.pages[0].tags["ImageLength"].overwrite(height)


def _nifti_that_claims(path: Path, width: int, height: int) -> None:
    content = bytearray(_whole(path.parent, path.name).read_bytes())
    content[42:46] = struct.pack("<2h", width, height)
    content[70:74] = struct.pack("<2h", 64, 64)  # float64
    path.write_bytes(content)


def _zarr_that_claims(path: Path, width: int, height: int) -> None:
    zarr.create_array(path, shape=(height, width), dtype="u1", chunks=(1000, 1000))


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("bomb.png", _png_that_claims),
        ("bomb.tif", _tiff_that_claims),
        ("bomb.nii", _nifti_that_claims),
        ("bomb.zarr", _zarr_that_claims),
    ],
)
def test_a_header_that_claims_too_much_costs_no_memory(tmp_path: Path, name: str, make: Callable[..., None]):
    resource = pytest.importorskip("resource", reason="the system tells no peak memory")
    path = tmp_path / name
    make(path, 65000 if name != "bomb.nii" else 32000, 65000 if name != "bomb.nii" else 32000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "at most" in (message := _one_sentence_about(path)) or "exceeds" in message
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kibibytes


@pytest.mark.parametrize(
    ("pixels", "options", "words"),
    [
        (np.zeros((2, 3, 4, 16, 16), np.uint8), {"ome": True, "metadata": {"axes": "TZCYX"}}, "axes TZCYX"),
        (np.zeros((20, 16, 16), np.uint8), {}, "one plane"),
        (np.zeros((3, 16, 16), np.uint8), {"imagej": True, "metadata": {"axes": "TYX"}}, "one moment"),
        (np.zeros((16, 16), np.complex64), {}, "complex64"),
    ],
)
def test_what_is_no_image_is_named_in_one_sentence(
    tmp_path: Path, pixels: np.ndarray, options: dict, words: str
):
    tifffile.imwrite(tmp_path / "a.tif", pixels, **options)
    assert words in _one_sentence_about(tmp_path / "a.tif")


def test_an_animation_is_refused(tmp_path: Path):
    imageio.imwrite(tmp_path / "a.gif", [COLOUR, 255 - COLOUR])
    assert "animation" in _one_sentence_about(tmp_path / "a.gif")


def test_a_single_pixel_is_read(tmp_path: Path):
    imageio.imwrite(tmp_path / "a.png", COLOUR[:1, :1])
    assert io.read_image(tmp_path / "a.png").pixels.shape == (1, 1, 3)


def test_missing_files_folders_and_broken_zarr_are_refused(tmp_path: Path):
    assert "must exist" in _one_sentence_about(tmp_path / "nowhere.png")
    folder = tmp_path / "folder"
    folder.mkdir()
    assert "must be a file" in _one_sentence_about(folder)
    (folder / "zarr.json").write_text("{broken")
    assert "Zarr" in _one_sentence_about(folder)
    shutil.rmtree(folder)
    zarr.create_group(folder)
    assert "one array" in _one_sentence_about(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_refused_at_once(tmp_path: Path):
    os.mkfifo(tmp_path / "a.png")
    assert "must be a file" in _one_sentence_about(tmp_path / "a.png")


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs POSIX users")
def test_an_unreadable_file_is_refused(tmp_path: Path):
    path = _whole(tmp_path, "a.png")
    path.chmod(0)
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)  # root reads everything, so step down for a moment
    try:
        assert "readable" in _one_sentence_about(path)
    finally:
        os.seteuid(me)


_READ_ALL = """
import sys
from pathlib import Path
from napari_diamant import io
from napari_diamant.errors import UserError
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        io.read_image(path)
    except UserError:
        print(path.name)
"""


def test_libraries_add_no_noise_of_their_own(tmp_path: Path):
    for name in ("a.png", "plain.tif", "zlib.tif", "a.nii.gz"):
        path = _whole(tmp_path, name)
        path.write_bytes(path.read_bytes()[:-700])
    done = subprocess.run(
        [sys.executable, "-c", _READ_ALL, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["a.nii.gz", "a.png", "plain.tif", "zlib.tif"]
    assert done.stderr == ""
