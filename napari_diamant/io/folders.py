"""Folders of images: what is in them, and which mask belongs to which image."""

from __future__ import annotations

from pathlib import Path

from napari_diamant.errors import UserError
from napari_diamant.io.formats import FORMATS, stem_of, suffix_of


def list_images(folder: Path) -> list[Path]:
    """List the images of a folder by name: known suffixes only, hidden files and subfolders left out.

    Raises
    ------
    UserError
        When there is no such folder, or no image in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"Images must lie in a folder, got {folder}, which is none. Check the name.")
    try:
        found = [path for path in folder.iterdir() if not path.name.startswith(".") and _is_image(path)]
    except OSError as fault:
        raise UserError(
            f"A folder of images must be readable, got {folder} ({fault.strerror}). Check its permissions."
        ) from fault
    if not found:
        known = " ".join(suffix for row in FORMATS for suffix in row.suffixes)
        raise UserError(
            f"A folder of images must hold at least one ({known}), got none in {folder}. Choose another."
        )
    return sorted(found)


def pair_by_stem(images: Path, masks: Path) -> list[tuple[Path, Path]]:
    """Pair each image with the mask of the same stem, sorted by name.

    Raises
    ------
    UserError
        When an image or a mask has no partner, or a stem stands for two files.
    """
    left, right = _by_stem(Path(images)), _by_stem(Path(masks))
    alone = [left[stem].name for stem in left if stem not in right]
    alone += [f"{Path(masks).name}/{right[stem].name}" for stem in right if stem not in left]
    if alone:
        shown = ", ".join(alone[:5]) + (f" and {len(alone) - 5} more" if len(alone) > 5 else "")
        raise UserError(
            f"Images and masks must pair by stem (a.png with a.tif), got no partner for {shown}. "
            "Rename, add or remove these files."
        )
    return [(left[stem], right[stem]) for stem in left]


def _is_image(path: Path) -> bool:
    suffix = suffix_of(path)
    return bool(suffix) and path.is_dir() == suffix.endswith(".zarr")


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in list_images(folder):
        other = found.setdefault(stem_of(path), path)
        if other != path:
            raise UserError(
                f"A stem must stand for one file of a folder, got {other.name} and {path.name} in {folder}. "
                "Remove one of them."
            )
    return found
