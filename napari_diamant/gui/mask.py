"""The mask on the screen and the journal on disk, kept equal.

napari reports a finished stroke, but neither its own undo nor a script's assignment, so the layer is always
compared with what was last known: at a stroke inside its box, otherwise as a whole. A brush that passes over
pixels of its own class changes nothing, but is the user's word for them: they are recorded as well.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Any

import numpy as np
from napari.layers import Labels
from psygnal import Signal

from napari_diamant.errors import UserError
from napari_diamant.gui.layers import painted_label
from napari_diamant.gui.strokes import Box, brushed, stroke_box, tighten
from napari_diamant.project import Project
from napari_diamant.types import IGNORED, Array, Correction

TOOLS = {"paint": "paint", "erase": "erase", "fill": "fill", "polygon": "polygon"}
"""napari's mode and the journal's word for it; everything else is an ``"edit"``."""


class MaskBinding:
    """Binds one Labels layer to the corrections of one image.

    Parameters
    ----------
    project
        Where the strokes go.
    sample_id
        The image.
    layer
        Its mask, ``(Y, X)``, showing `project.labels(sample_id)`.

    Attributes
    ----------
    recorded : Signal(Correction)
        A stroke is on disk.
    failed : Signal(str)
        A stroke could not be written, in one sentence; it stays on the screen, and the next `reconcile` tries
        again.
    stale : Signal()
        The layer may have changed without a stroke: call `reconcile` soon.
    """

    recorded = Signal(object)
    failed = Signal(str)
    stale = Signal()

    def __init__(self, project: Project, sample_id: int, layer: Labels) -> None:
        self.project = project
        self.sample_id = sample_id
        self.layer = layer
        self.pending = False
        prediction = project.prediction(sample_id)
        self._overlay = np.array(project.overlay(sample_id))
        self._base = np.zeros(self._overlay.shape, np.uint8)
        if prediction is not None:
            self._base[:] = prediction.labels
        self._shown = self._expected(np.s_[:, :])
        self._drawing = False
        self._path: list[tuple[float, float]] | None = None
        self._waiting: Array | None = None
        self._announced: tuple[Box, str] | None = None
        self._connect()

    def _connect(self) -> None:
        layer = self.layer
        layer.data[...] = self._shown
        layer.refresh()
        layer.events.paint.connect(self._on_paint)
        layer.events.labels_update.connect(self._on_update)
        layer.events.set_data.connect(self._on_set_data)
        layer.mouse_drag_callbacks.append(self._watch_drag)
        layer.bind_key("Control-Z", self._on_undo_key, overwrite=True)
        layer.bind_key("Control-Shift-Z", self._on_redo_key, overwrite=True)

    def close(self) -> None:
        """Record what is still open and let the layer go."""
        self._drawing = False
        self.reconcile()
        self.layer.events.paint.disconnect(self._on_paint)
        self.layer.events.labels_update.disconnect(self._on_update)
        self.layer.events.set_data.disconnect(self._on_set_data)
        if self._watch_drag in self.layer.mouse_drag_callbacks:
            self.layer.mouse_drag_callbacks.remove(self._watch_drag)
        self.layer.bind_key("Control-Z", None, overwrite=True)
        self.layer.bind_key("Control-Shift-Z", None, overwrite=True)

    @property
    def corrected(self) -> int:
        """Number of pixels the user has worked on."""
        return int(np.count_nonzero(self._overlay != IGNORED))

    def reconcile(self, tool: str = "edit") -> bool:
        """Record whatever differs from what is known, under the name of `tool`.

        False when that failed, and in the middle of a stroke, which would become two rows: it comes again.
        """
        if self._drawing:
            self.stale.emit()
            return False
        if self.layer.data.shape != self._shown.shape:
            self.layer.data = self._shown.copy()
            self.failed.emit(
                f"A mask must keep the image's size, {self._shown.shape}. The former mask was put back."
            )
            return True
        if self._announced is not None:
            tool, self._announced = self._announced[1], None
        written = self._capture(np.s_[:, :], tool)
        self.pending = not written
        return written

    def undo(self) -> None:
        """Take back the last stroke of this image, whenever it was made."""
        self._replay(self.project.undo)

    def redo(self) -> None:
        """Make the stroke taken back last once more."""
        self._replay(self.project.redo)

    def show_prediction(self, labels: Array) -> None:
        """Show a new prediction wherever the user has not worked.

        While a stroke is being drawn this waits for its end. napari's own history is cleared, since it would
        stamp pixels of the old prediction into the new one.
        """
        if self._drawing:
            self._waiting = labels
            return
        self.reconcile()
        self._base = np.array(labels, np.uint8)
        free = (self._overlay == IGNORED) & (self._shown == self.layer.data)
        self._shown[free] = self._base[free]
        self.layer.data[free] = self._base[free]
        self._clear_history()
        self.layer.refresh()

    def reload(self) -> None:
        """Show what the journal says now, after something else than a stroke has written to it."""
        self._overlay = np.array(self.project.overlay(self.sample_id))
        self._shown = self._expected(np.s_[:, :])
        self.layer.data[...] = self._shown
        self._clear_history()
        self.layer.refresh()

    def _expected(self, box: Box) -> Array:
        overlay = self._overlay[box]
        return np.where(overlay == IGNORED, self._base[box], overlay).astype(np.uint8)

    def _capture(self, box: Box, tool: str) -> bool:
        """Record what differs inside a box; False when that could not be written."""
        if (changed_box := self._changed_box(box)) is None:
            return True
        self._refuse_unknown(changed_box)
        if (changed_box := self._changed_box(box)) is None:
            return True
        return self._write(changed_box, self._differs(changed_box), tool)

    def _capture_brush(self, path: list[tuple[float, float]], label: int, tool: str) -> bool:
        """Record a brush stroke: what it changed, and what it found right; False when that failed."""
        height, width = self._shown.shape
        box, under = brushed(path, self.layer.brush_size // 2, (height, width))
        self._refuse_unknown(box)
        agreed = under & (self.layer.data[box] == label) & (self._overlay[box] == IGNORED)
        worked = self._differs(box) | agreed
        return not worked.any() or self._write(box, worked, tool)

    def _write(self, box: Box, worked: Array, tool: str) -> bool:
        """Record the pixels of a box that the user has worked on as they are shown."""
        changed_box = tighten(box, worked)
        changed = worked[_within(changed_box, box)]
        shown = np.array(self.layer.data[changed_box])
        after = np.where(changed, shown, self._overlay[changed_box]).astype(np.int16)
        origin = (changed_box[0].start, changed_box[1].start)
        try:
            correction = self.project.record(self.sample_id, origin, after, tool)
        except (UserError, OSError, sqlite3.Error) as error:
            if not self.pending:  # said once, however often it is tried
                self.pending = True
                self.failed.emit(f"The last stroke stays on the screen but is not on disk yet: {error}")
                self.stale.emit()
            return False
        self._overlay[changed_box] = after
        self._shown[changed_box] = shown
        self.recorded.emit(correction)
        return True

    def _changed_box(self, box: Box) -> Box | None:
        changed = self._differs(box)
        return tighten(box, changed) if changed.any() else None

    def _differs(self, box: Box) -> Array:
        return np.asarray(self.layer.data[box] != self._shown[box])

    def _refuse_unknown(self, box: Box) -> None:
        """Put back pixels of a class that the project does not have."""
        count = len(self.project.classes)
        shown = np.array(self.layer.data[box])
        unknown = shown >= count
        if not unknown.any():
            return
        self.layer.data[box] = np.where(unknown, self._shown[box], shown)
        self.layer.refresh()
        names = ", ".join(self.project.classes)
        self.failed.emit(
            f"A mask has the classes 0 to {count - 1} ({names}), got {int(shown.max())}. "
            "Choose a class in the panel and paint again."
        )

    def _replay(self, verb: Any) -> None:
        if not self.reconcile():
            return
        try:
            correction: Correction | None = verb(self.sample_id)
        except (UserError, OSError, sqlite3.Error) as error:
            self.failed.emit(f"The last step could not be written ({error}). Try again.")
            return
        if correction is None:
            return
        (top, left), (height, width) = correction.origin, correction.after.shape
        box = np.s_[top : top + height, left : left + width]
        self._overlay[box] = correction.after
        self._shown[box] = self._expected(box)
        self.layer.data[box] = self._shown[box]
        self.layer.refresh()
        self.recorded.emit(correction)

    def _clear_history(self) -> None:
        mode = self.layer.mode
        self.layer.editable = False  # the public way to empty napari's undo history
        self.layer.editable = True
        self.layer.mode = mode

    def _tool(self) -> str:
        return TOOLS.get(str(self.layer.mode), "edit")

    def _on_paint(self, event: Any) -> None:
        if self._path is not None:
            return  # the end of the drag records it
        height, width = self._shown.shape
        if self.pending or self.layer.data.shape != (height, width):
            self.stale.emit()
            return
        box, tool = stroke_box(event.value, (height, width)), self._tool()
        if self._changed_box(box) is not None:
            self._capture(box, tool)
            return
        self._announced = (box, tool)  # polygons and scripts: napari tells before it changes the data
        self.stale.emit()

    def _on_update(self) -> None:
        if self._announced is not None and self._changed_box(self._announced[0]) is not None:
            (box, tool), self._announced = self._announced, None
            self._capture(box, tool)

    def _on_set_data(self) -> None:
        if not self._drawing:
            self.stale.emit()

    def _watch_drag(self, layer: Labels, event: Any) -> Iterator[None]:
        tool = TOOLS.get(str(layer.mode))
        self._drawing = tool is not None
        label = painted_label(layer)
        # The right button draws an outline, and a frozen cursor sizes the brush.
        if tool in ("paint", "erase") and event.button == 1 and str(layer.cursor) != "circle_frozen":
            self._path = [_position(layer, event)]
        yield
        while event.type == "mouse_move":
            if self._path is not None:
                self._path.append(_position(layer, event))
            yield
        self._drawing = False
        self._end_brush(label, tool or "edit")
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            self.reconcile(self._tool())  # napari may close the stroke only after this callback
            self.show_prediction(waiting)

    def _end_brush(self, label: int | None, tool: str) -> None:
        path, self._path = self._path, None
        if path is None or label is None or self.layer.data.shape != self._shown.shape:
            return
        if self.pending:
            self.stale.emit()
            return
        self._capture_brush(path, label, tool)

    def _on_undo_key(self, layer: Labels) -> None:
        self.undo()

    def _on_redo_key(self, layer: Labels) -> None:
        self.redo()


def _position(layer: Labels, event: Any) -> tuple[float, float]:
    """Give row and column under the mouse."""
    row, column = layer.world_to_data(event.position)[-2:]
    return float(row), float(column)


def _within(inner: Box, outer: Box) -> Box:
    """Give a box of the mask in the coordinates of another box that holds it."""
    top, left = outer[0].start or 0, outer[1].start or 0
    return np.s_[inner[0].start - top : inner[0].stop - top, inner[1].start - left : inner[1].stop - left]
