"""What is dropped on the panel: images and folders of them, volumes, or a project."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from qtpy.QtCore import QMimeData, QObject, QTimer, Signal

from napari_diamant.errors import UserError
from napari_diamant.gui.reader import VOLUMES, holds_dicom, project_folder
from napari_diamant.io import list_images
from napari_diamant.project import Project


class Dropped(NamedTuple):
    """Dropped paths by what they are; a folder of images has become its files."""

    project: Path | None
    volumes: list[Path]
    images: list[Path]


def local_paths(mime: QMimeData) -> list[Path]:
    """Give the files and folders of a drop; web addresses are left out."""
    return [Path(url.toLocalFile()) for url in mime.urls() if url.isLocalFile()]


def sort_paths(paths: Iterable[Path]) -> Dropped:
    """Tell projects, volumes and images apart.

    Raises
    ------
    UserError
        For a folder without images.
    """
    found = Dropped(None, [], [])
    for path in paths:
        if (folder := project_folder(path)) is not None:
            found = found._replace(project=folder)
        elif path.name.lower().endswith(VOLUMES) or (path.is_dir() and holds_dicom(path)):
            found.volumes.append(path)
        elif path.is_dir() and path.suffix.lower() != ".zarr":
            found.images.extend(list_images(path))
        else:
            found.images.append(path)
    return found


class Intake(QObject):
    """Takes images into a project one by one, so that a folder of hundreds does not stop the window.

    Signals
    -------
    added : Sample
        One image is in the project.
    failed : str
        One could not be read; the others go on.
    finished
        Nothing waits any more.
    """

    added = Signal(object)
    failed = Signal(str)
    finished = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._waiting: deque[Path] = deque()
        self._project: Project | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._take_one)

    def start(self, project: Project, paths: Sequence[Path]) -> None:
        """Begin to add these images; those of an earlier call still come first."""
        self._project = project
        self._waiting.extend(paths)
        self._timer.start()

    def stop(self) -> None:
        """Leave what still waits out."""
        self._waiting.clear()
        self._timer.stop()

    def _take_one(self) -> None:
        if not self._waiting or self._project is None:
            self._timer.stop()
            self.finished.emit()
            return
        path = self._waiting.popleft()
        try:
            samples = self._project.add([path])
        except (UserError, OSError) as error:
            self.failed.emit(str(error))
            return
        for sample in samples:
            self.added.emit(sample)
