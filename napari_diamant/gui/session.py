"""What is open: a project, one of its images, its mask and its heads. No Qt, so no window is needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Image, Labels
from numpy.typing import NDArray
from psygnal import Signal

from napari_diamant.errors import UserError
from napari_diamant.gui.layers import HeadLayers, check_image, color_classes, full_resolution, mask_layer
from napari_diamant.gui.mask import MaskBinding
from napari_diamant.gui.reader import METADATA_KEY, image_layer, next_sample
from napari_diamant.io import atomic, content_hash
from napari_diamant.project import Project
from napari_diamant.types import JSON, Array, Sample

BRUSH_SHARE = 40
"""The first brush has this part of the image's width."""


class Session:
    """Binds a viewer to a project.

    Parameters
    ----------
    viewer
        A `napari.components.ViewerModel`.
    project
        An open project; the session closes it.

    Attributes
    ----------
    opened : Signal(Sample or None)
        Another image is open, or none.
    edited : Signal(Correction or None)
        The corrections or the review of the open image have changed.
    failed : Signal(str)
        Something the user should know, in one sentence.
    stale : Signal()
        The mask may have changed without a stroke: call `reconcile` soon.
    """

    opened = Signal(object)
    edited = Signal(object)
    failed = Signal(str)
    stale = Signal()

    def __init__(self, viewer: Any, project: Project) -> None:
        self.viewer = viewer
        self.project = project
        self.sample: Sample | None = None
        self.image: Image | None = None
        self.mask: MaskBinding | None = None
        self.heads: HeadLayers | None = None
        self._resting: HeadLayers | None = None
        self._own: list[Image] = []
        self._arranging = False
        self._brush = ("pan_zoom", 1)  # in hand when an image is opened: that of the image before
        viewer.layers.events.removed.connect(self._on_removed)

    def open_layer(self, layer: Image) -> Sample:
        """Open an image that lies in the viewer; the project learns of it when it is new.

        Raises
        ------
        UserError
            When it is not a single plane, or its file cannot be read.
        """
        sample = self._sample_of(layer)
        if (
            self.sample is not None
            and self.sample.id == sample.id
            and self.image is layer
            and self.mask is not None
        ):
            return sample
        self._leave(layer)
        self._bind(sample, layer)
        return sample

    def open_sample(self, sample_id: int) -> Sample:
        """Open an image of the project, in a new layer unless it lies in the viewer already."""
        sample = self.project.sample(sample_id)
        layer = next((layer for layer in self._images() if _tag(layer) == self._tag(sample)), None)
        if layer is not None and layer is self.image:
            return sample
        image = None if layer is not None else self.project.image(sample_id)
        self._leave(layer)
        if layer is None:
            layer = self._add_image(sample, image)
        self._bind(sample, layer)
        return sample

    def add(self, paths: Sequence[Path]) -> list[Sample]:
        """Add images to the project and open the first of them."""
        samples = self.project.add(paths)
        if samples:
            self.open_sample(samples[0].id)
        return samples

    def next_sample(self) -> Sample | None:
        """Give the image to work on after this one."""
        return next_sample(self.project.samples(), self.sample.id if self.sample else None)

    def close_image(self) -> None:
        """Record what is open and take our layers away; an image the user has opened is only hidden."""
        self._leave(None)
        with self._arrange():
            if self._resting is not None:
                self._resting.remove()
                self._resting = None

    def close(self) -> None:
        """Record what is open and close the project; the layers stay in the viewer."""
        if self.mask is not None:
            self.mask.close()
            self.mask = None
        if self.image is not None:
            self.image.locked = False
        self.viewer.layers.events.removed.disconnect(self._on_removed)
        self.project.close()

    def show_maps(self, maps: NDArray[np.float32], scale: tuple[float, float]) -> None:
        """Take new attention maps; their layers are made later, see `HeadLayers`."""
        if self.image is None:
            return
        with self._arrange():
            former, self._resting = self.heads or self._resting, None
            if former is not None and len(former) == len(maps):
                former.move_to(self.image, maps, scale)
                self.heads = former
                return
            if former is not None:
                former.remove()
            self.heads = HeadLayers(self.viewer, self.image, maps, scale)

    def show_prediction(self, labels: Array) -> None:
        """Show a new prediction of the open image wherever the user has not worked."""
        if self.mask is None:
            self._restore_mask()
        if self.mask is not None:
            self.mask.show_prediction(labels)

    def start_from(self, layer: Labels) -> None:
        """Take any Labels layer of the image's size as the mask to go on from.

        Raises
        ------
        UserError
            When its size or its classes do not fit.
        """
        if self.mask is None or self.sample is None:
            return
        labels = np.asarray(layer.data)
        if labels.shape != self.sample.shape:
            raise UserError(f"A mask must have the image's size, {self.sample.shape}, got {labels.shape}.")
        self.mask.reconcile()
        self.project.start_from(self.sample.id, labels)
        self.mask.reload()
        self.edited.emit(None)

    def set_reviewed(self, reviewed: bool) -> None:
        """Note that the whole mask of the open image is right, or that it is not."""
        if self.mask is None or self.sample is None or not self.mask.reconcile():
            return
        self.project.set_reviewed(self.sample.id, reviewed)
        self.mask.reload()
        self._refresh()

    def add_class(self, name: str) -> None:
        """Add a class to the project and paint it in a colour of its own."""
        self.project.classes = (*self.project.classes, name)
        if self.mask is not None:
            color_classes(self.mask.layer, len(self.project.classes))

    def reconcile(self) -> bool:
        """Record what was changed without a stroke; True when everything is on disk."""
        return self.mask is None or self.mask.reconcile()

    def _bind(self, sample: Sample, layer: Image) -> None:
        self.sample, self.image = sample, layer
        layer.metadata[METADATA_KEY] = self._tag(sample)
        layer.visible = True
        layer.locked = True
        self._restore_mask()
        self.opened.emit(sample)

    def _restore_mask(self) -> None:
        if self.sample is None or self.image is None:
            return
        tag = {**self._tag(self.sample), "mask": True}
        layer = next(
            (item for item in self.viewer.layers if isinstance(item, Labels) and _tag(item) == tag), None
        )
        if layer is None:
            labels = self.project.labels(self.sample.id)
            layer = mask_layer(labels, self.image, tuple(self.project.classes), tag)
            layer.brush_size = max(4, self.sample.shape[1] // BRUSH_SHARE)
            self.viewer.add_layer(layer)
            layer.mode, layer.selected_label = self._brush
        color_classes(layer, len(self.project.classes))
        self.viewer.layers.selection.active = layer
        self.mask = MaskBinding(self.project, self.sample.id, layer)
        self.mask.recorded.connect(self._refresh)
        self.mask.failed.connect(self.failed)
        self.mask.stale.connect(self.stale)

    def _refresh(self, correction: object = None) -> None:
        if self.sample is not None:
            self.sample = self.project.sample(self.sample.id)
        self.edited.emit(correction)

    def _leave(self, keep: Image | None) -> None:
        """Close the image for another one; the layers of its heads wait for the next maps."""
        if self.mask is not None:
            self._brush = (str(self.mask.layer.mode), int(self.mask.layer.selected_label))
            self.mask.close()
        with self._arrange():
            if self.heads is not None:
                self.heads.rest()
                self._resting = self.heads
            self._remove_layers(keep)
        self.sample = self.image = self.mask = self.heads = None

    def _remove_layers(self, keep: Image | None) -> None:
        if self.mask is not None and self.mask.layer in self.viewer.layers:
            self.viewer.layers.remove(self.mask.layer)
        for layer in self._own:
            if layer is not keep and layer in self.viewer.layers:
                self.viewer.layers.remove(layer)
        self._own = [layer for layer in self._own if layer is keep]
        if self.image is not None and self.image is not keep:
            self.image.locked = False
            self.image.visible = False

    def _add_image(self, sample: Sample, image: Any) -> Image:
        pixels, options, _ = image_layer(image, sample.name, self._tag(sample))
        with self._arrange():
            added = self.viewer.add_image(pixels, **options)
        self._own = added if isinstance(added, list) else [added]
        self.viewer.reset_view()
        return self._own[0]

    def _sample_of(self, layer: Image) -> Sample:
        shape = check_image(layer)
        tag = _tag(layer)
        if tag.get("project") == self._folder and "sample" in tag:
            return self.project.sample(tag["sample"])
        path = tag.get("path") or layer.source.path
        if path is not None:
            with suppress(UserError):  # napari reads more formats than the project does
                sample = self.project.add([Path(path)])[0]
                if sample.shape == shape:
                    return sample
        return self.project.add([self._write_pixels(layer)])[0]

    def _write_pixels(self, layer: Image) -> Path:
        """Keep the pixels of a layer that no file holds, inside the project."""
        import tifffile

        pixels = np.asarray(full_resolution(layer))
        pixels = pixels.astype(np.uint8) if pixels.dtype == bool else pixels
        folder = self.project.folder / "images"
        folder.mkdir(exist_ok=True)
        name = "".join(sign if sign.isalnum() or sign in "-_ " else "_" for sign in layer.name)
        path = folder / f"{name}-{content_hash(pixels)[:8]}.tif"
        if not path.exists():
            with atomic(path) as temporary:
                tifffile.imwrite(temporary, pixels, photometric="rgb" if layer.rgb else "minisblack")
        return path

    @property
    def _folder(self) -> str:
        return str(self.project.folder.resolve())

    def _tag(self, sample: Sample) -> JSON:
        return {"project": self._folder, "sample": sample.id}

    def _images(self) -> Iterator[Image]:
        return (layer for layer in self.viewer.layers if isinstance(layer, Image))

    @contextmanager
    def _arrange(self) -> Iterator[None]:
        self._arranging = True
        try:
            yield
        finally:
            self._arranging = False

    def _on_removed(self, event: Any) -> None:
        """Let go of what the user has taken out of the viewer."""
        if self._arranging:
            return
        if self.mask is not None and event.value is self.mask.layer:
            self.mask.close()
            self.mask = None
        elif event.value is self.image:
            self.close_image()
            self.opened.emit(None)


def project_of(layer: Image) -> Path | None:
    """Give the project folder that a layer says it belongs to."""
    folder = _tag(layer).get("project")
    return None if folder is None else Path(folder)


def _tag(layer: Image | Labels) -> JSON:
    return dict(layer.metadata.get(METADATA_KEY, {}))
