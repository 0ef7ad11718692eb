"""The images of a project: where they lie, and proof that they are still the same."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from napari_diamant.errors import UserError
from napari_diamant.io import content_hash, list_images, read_image
from napari_diamant.project.cache import ByteCache
from napari_diamant.project.store import Store
from napari_diamant.types import Image, Sample

_KEPT_BYTES = 512 * 2**20
_SELECT = """SELECT samples.*, coalesce((
    SELECT reviewed FROM journal WHERE sample = samples.id ORDER BY id DESC LIMIT 1), 0) AS reviewed
    FROM samples"""


class Samples:
    """The samples of a project and their pixels, the last used ones kept in memory."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._images: ByteCache[int, Image] = ByteCache(lambda image: image.pixels.nbytes, _KEPT_BYTES)

    def add(self, paths: Iterable[Path]) -> list[Sample]:
        """Take images, and all images of folders, into the project; the same content twice is one sample."""
        return [self._add(path) for given in paths for path in _expand(given)]

    def all(self) -> list[Sample]:
        """Give every sample, in the order of their coming."""
        return [self._sample(row) for row in self._store.rows(f"{_SELECT} ORDER BY id")]

    def get(self, sample_id: int) -> Sample:
        """Give one sample."""
        row = self._store.row(f"{_SELECT} WHERE id = ?", (sample_id,))
        if row is None:
            raise UserError(
                f"The project has no image number {sample_id}. `project status` lists those it has."
            )
        return self._sample(row)

    def find(self, content: str) -> Sample | None:
        """Give the sample with this content hash, or None."""
        row = self._store.row(f"{_SELECT} WHERE content_hash = ?", (content,))
        return None if row is None else self._sample(row)

    def image(self, sample: Sample) -> Image:
        """Read a sample's image, and make sure that its pixels are those that were added."""
        image = self._images.get(sample.id)
        if image is None:
            image = read_image(_existing(sample))
            if content_hash(image.pixels) != sample.content_hash:
                raise UserError(
                    f"{sample.path} has changed since it was added; its corrections belong to the old one."
                    " Put the old file back, or add the new one under another name."
                )
            self._images.put(sample.id, image)
        return image

    def relocate(self, folder: Path) -> list[Sample]:
        """Look in a folder and below for originals that are gone, recognised by their content.

        Files that kept their name are tried first, then those of the same type. Gives the samples found.
        """
        missing = {sample.id: sample for sample in self.all() if not sample.path.is_file()}
        found: list[Sample] = []
        for path in _candidates(folder, list(missing.values())):
            if not missing:
                break
            sample = self._same_content(path, missing)
            if sample is not None:
                del missing[sample.id]
                found.append(self._move(sample, path))
        return found

    def _add(self, path: Path) -> Sample:
        path = path.expanduser().absolute()
        image = read_image(path)
        content = content_hash(image.pixels)
        values = (content, str(path), _relative(path, self._store.folder), *image.shape, _now())
        with self._store.transaction() as connection:
            connection.execute(
                "INSERT INTO samples (content_hash, path, relative, height, width, added)"
                " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (content_hash) DO NOTHING",
                values,
            )
        sample = self.find(content)
        assert sample is not None  # just written
        if not sample.path.is_file():
            sample = self._move(sample, path)
        self._images.put(sample.id, image)
        return sample

    def _same_content(self, path: Path, missing: dict[int, Sample]) -> Sample | None:
        try:
            sample = self.find(content_hash(read_image(path).pixels))
        except UserError:  # a stranger that no reader understands is not what we look for
            return None
        return None if sample is None else missing.get(sample.id)

    def _move(self, sample: Sample, path: Path) -> Sample:
        with self._store.transaction() as connection:
            connection.execute(
                "UPDATE samples SET path = ?, relative = ? WHERE id = ?",
                (str(path), _relative(path, self._store.folder), sample.id),
            )
        return self.get(sample.id)

    def _sample(self, row: sqlite3.Row) -> Sample:
        path = Path(row["path"])
        if row["relative"] is not None and not path.is_file():
            # A project that was moved together with its images, or is seen from another machine.
            beside = Path(os.path.normpath(self._store.folder / row["relative"]))
            path = beside if beside.is_file() else path
        return Sample(
            row["id"], row["content_hash"], path, (row["height"], row["width"]), bool(row["reviewed"])
        )


def _existing(sample: Sample) -> Path:
    if not sample.path.exists():
        raise UserError(
            f"The image {sample.path} is no longer there. Put it back, or say where it lies now:"
            " `napari-diamant project relocate PROJECT FOLDER`."
        )
    return sample.path


def _expand(path: Path) -> list[Path]:
    # A folder that ends in a suffix is one image (OME-Zarr).
    return list_images(path) if path.is_dir() and not path.suffix else [path]


def _candidates(folder: Path, missing: list[Sample]) -> Iterator[Path]:
    names = {sample.path.name for sample in missing}
    suffixes = {sample.path.suffix.lower() for sample in missing}
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes)
    yield from sorted(files, key=lambda path: path.name not in names)


def _relative(path: Path, folder: Path) -> str | None:
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive of Windows
        return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
