"""The table of file formats: which one a path holds, and the reader that decodes it."""

from __future__ import annotations

import logging
import textwrap
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from napari_diamant.errors import UserError
from napari_diamant.io import dicom, nifti, ome_zarr, raster, tiff
from napari_diamant.io.raw import Raw


@dataclass(frozen=True)
class Format:
    """One row of the table.

    Attributes
    ----------
    name
        What people call it.
    suffixes
        Lower case, longest first.
    marks
        Places and bytes by which its files are known, whatever they are called.
    read
        Its reader.
    """

    name: str
    suffixes: tuple[str, ...]
    marks: tuple[tuple[int, bytes], ...]
    read: Callable[[Path], Raw]


FORMATS = (
    Format("PNG", (".png",), ((0, b"\x89PNG\r\n\x1a\n"),), raster.read),
    Format("JPEG", (".jpg", ".jpeg"), ((0, b"\xff\xd8\xff"),), raster.read),
    Format("BMP", (".bmp",), (), raster.read),  # its mark "BM" is too short to be trusted without the suffix
    Format("GIF", (".gif",), ((0, b"GIF87a"), (0, b"GIF89a")), raster.read),
    Format(
        "TIFF",
        (".ome.tiff", ".ome.tif", ".tiff", ".tif", ".btf", ".svs"),
        ((0, b"II*\0"), (0, b"MM\0*"), (0, b"II+\0"), (0, b"MM\0+")),
        tiff.read,
    ),
    Format("NIfTI", (".nii.gz", ".nii"), ((344, b"n+1\0"), (4, b"n+2\0")), nifti.read),
    Format("DICOM", (".dcm", ".dicom"), ((128, b"DICM"),), dicom.read),
    Format("Zarr", (".ome.zarr", ".zarr"), (), ome_zarr.read),
)

_ZARR_MARKS = ("zarr.json", ".zattrs", ".zgroup", ".zarray")
_HEAD = 512
_LOGGERS = ("tifffile", "pydicom", "nibabel.global", "PIL")


def suffix_of(path: Path) -> str:
    """Give the known suffix of a name, ``.ome.tif`` and ``.nii.gz`` in one piece; empty when it has none."""
    name = path.name.lower()
    return next((suffix for row in FORMATS for suffix in row.suffixes if name.endswith(suffix)), "")


def stem_of(path: Path) -> str:
    """Give the name without its known suffix, so that ``a.ome.tif`` and ``a.png`` are both ``a``."""
    suffix = suffix_of(path)
    return path.name[: -len(suffix)] if suffix else path.stem


def decode(path: Path) -> Raw:
    """Read a file with the reader of its format, known by its content first and by its suffix second.

    Raises
    ------
    UserError
        When there is no such file, it is empty, of no known format, broken or unreadable.
    """
    try:
        row = _format_of(path)
    except OSError as fault:
        raise UserError(
            f"An image must be readable, got {path} ({fault.strerror}). Check its name and its permissions."
        ) from fault
    try:
        with _quiet():
            return row.read(path)
    except UserError:
        raise
    except Exception as fault:  # decoders fail on broken files in every way there is
        raise UserError(
            f"An image file must be a whole and readable {row.name}, got {path.name} "
            f"({_first_words(fault)}). Open it elsewhere and save it again."
        ) from fault


def _format_of(path: Path) -> Format:
    if not path.exists():
        raise UserError(f"An image must exist, got {path}, which does not. Check the name and the folder.")
    if path.is_dir():
        return _format_of_folder(path)
    if not path.is_file():  # reading from a pipe or a device may never end
        raise UserError(f"An image must be a file, got {path}, which is none. Choose a file.")
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        raise UserError(
            f"An image file must hold pixels, got {path.name} with 0 bytes. Copy or export it again."
        )
    by_content = (row for row in FORMATS for at, mark in row.marks if head[at:].startswith(mark))
    by_suffix = (row for row in FORMATS if suffix_of(path) in row.suffixes)
    found = next(by_content, None) or next(by_suffix, None)
    if found is None:
        raise UserError(
            f"An image must be one of {', '.join(row.name for row in FORMATS)}, got {path.name}. "
            "Convert it to one of these."
        )
    return found


def _format_of_folder(path: Path) -> Format:
    names = {row.name: row for row in FORMATS}
    if any((path / mark).exists() for mark in _ZARR_MARKS):
        return names["Zarr"]
    if any(child.is_file() and dicom.is_dicom(child) for child in path.iterdir()):
        return names["DICOM"]
    raise UserError(
        f"An image must be a file, a Zarr folder or a DICOM series, got the folder {path}. Choose a file."
    )


def _first_words(fault: BaseException) -> str:
    """Shorten what the library said first; imageio wraps the telling fault in vaguer ones."""
    while fault.__cause__ is not None:
        fault = fault.__cause__
    sentence = str(fault).strip().split(". ")[0] or type(fault).__name__
    return textwrap.shorten(sentence, 120, placeholder=" …").rstrip(".")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what libraries say about odd files off the terminal: the sentence of `decode` is enough."""
    handler = logging.NullHandler()
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
