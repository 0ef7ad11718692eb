"""Layers that lie exactly on an image: its mask, and one map per attention head at patch resolution."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Image, Labels
from napari.utils.colormaps import DirectLabelColormap
from napari.utils.transforms import Affine
from numpy.typing import NDArray
from psygnal import Signal

from napari_diamant.errors import UserError
from napari_diamant.gui.reader import METADATA_KEY
from napari_diamant.types import Array

HEAD_COLORMAP = "inferno"
HEAD_OPACITY = 0.6
MASK_OPACITY = 0.5
LINKED = ("opacity", "colormap", "gamma", "blending")
"""What all heads share; contrast is each head's own, and linked visibility would defeat the eye buttons."""

PERCENTILES = (1.0, 99.5)
"""Contrast of a head: one hot patch must not blacken the rest."""

CLASS_COLORS = ("#00b4d8", "#ff9e00", "#9b5de5", "#06d6a0", "#ef476f", "#ffd166", "#8d99ae", "#bc6c25")
"""Colours of the classes behind the background; told apart on pink tissue, on black and on an inferno map."""


def class_color(index: int) -> str:
    """Give the colour of a class, ``"transparent"`` for the background; it repeats after eight classes."""
    return "transparent" if index == 0 else CLASS_COLORS[(index - 1) % len(CLASS_COLORS)]


def check_image(layer: Image) -> tuple[int, int]:
    """Give height and width of an image layer, in pixels of its full resolution.

    Raises
    ------
    UserError
        When it is not a single plane.
    """
    if layer.ndim != 2:
        raise UserError(
            f"An image must have two axes, Y and X, got {layer.ndim} in layer {layer.name!r}. "
            "Open a single plane; volumes come in a later release."
        )
    height, width = full_resolution(layer).shape[:2]
    return int(height), int(width)


def full_resolution(layer: Image) -> Any:
    """Give the pixels of a layer, the finest level of a pyramid."""
    return layer.data[0] if layer.multiscale else layer.data


def placed_on(
    image: Image, scale: tuple[float, float] = (1, 1), offset: tuple[float, float] = (0, 0)
) -> dict[str, Any]:
    """Give the options that lay a new layer on an image, however that one is scaled, moved or turned.

    Parameters
    ----------
    image
        The layer to lie on.
    scale
        Size of a cell of the new layer, in pixels of the image.
    offset
        Centre of its first cell, in pixels of the image.
    """
    inner = Affine(
        scale=image.scale, translate=image.translate, rotate=image.rotate, shear=image.shear, ndim=2
    )
    return {
        "scale": np.asarray(image.scale) * scale,
        "translate": np.asarray(inner(np.asarray(offset, float))).ravel(),
        "rotate": image.rotate,
        "shear": image.shear,
        "affine": image.affine,
        "units": image.units,
    }


def mask_layer(labels: Array, image: Image, classes: tuple[str, ...], metadata: dict[str, Any]) -> Labels:
    """Make the Labels layer that the user corrects; it owns a copy of the labels, uint8 ``(Y, X)``."""
    layer = Labels(
        np.array(labels, dtype=np.uint8),
        name="mask · DIAMANT",
        opacity=MASK_OPACITY,
        metadata={METADATA_KEY: metadata},
        **placed_on(image),
    )
    color_classes(layer, len(classes))
    return layer


def painted_label(layer: Labels) -> int | None:
    """Give the label that a press on the canvas paints in the layer's mode, None when it paints nothing."""
    mode = str(layer.mode)
    if mode == "erase":
        return 0
    return int(layer.selected_label) if mode in ("paint", "fill", "polygon") else None


def color_classes(layer: Labels, count: int) -> None:
    """Colour a mask by class."""
    colors: dict[int | None, str] = {index: class_color(index) for index in range(count)}
    layer.colormap = DirectLabelColormap(color_dict={**colors, None: "transparent"})


class HeadLayers:
    """The Image layers of one image's attention heads, made when they are first wanted.

    Adding a layer costs the window up to a quarter of a second in software OpenGL, so `add_next` adds one at
    a time, hidden, between two turns of the event loop.

    Parameters
    ----------
    viewer
        A `napari.components.ViewerModel`.
    image
        The image layer that the maps belong to.
    maps
        ``(head, rows, columns)``.
    scale
        Size of a map cell along Y and X, in image pixels.

    Attributes
    ----------
    visibility : Signal(int, bool)
        A head was shown or hidden, by whatever means.
    """

    visibility = Signal(int, bool)

    def __init__(
        self, viewer: Any, image: Image, maps: NDArray[np.float32], scale: tuple[float, float]
    ) -> None:
        self._viewer = viewer
        self._layers: dict[int, Image] = {}
        self._shown: list[int] = []
        self._take(image, maps, scale)

    def __len__(self) -> int:
        return len(self._maps)

    @property
    def layers(self) -> dict[int, Image]:
        """The layers made so far, by head, less those the user has removed."""
        return {head: layer for head, layer in self._layers.items() if layer in self._viewer.layers}

    def add_next(self) -> bool:
        """Add the first head that was never added, hidden; False when there is none."""
        head = next((head for head in range(len(self)) if head not in self._layers), None)
        if head is None:
            return False
        self._add(head)
        return True

    def show(self, head: int, visible: bool) -> None:
        """Show or hide one head, which is added first where needed."""
        layer = self.layers.get(head) or self._add(head)
        layer.visible = visible

    def rest(self) -> None:
        """Hide all of them while no maps fit, until `move_to`."""
        self._shown = [head for head, layer in self.layers.items() if layer.visible]
        for head in self._shown:
            self.show(head, False)

    def move_to(self, image: Image, maps: NDArray[np.float32], scale: tuple[float, float]) -> None:
        """Show as many maps of another image in the same layers, which is quicker than to make new ones."""
        self._take(image, maps, scale)
        for head, layer in self.layers.items():
            layer.data = maps[head]
            layer.contrast_limits = _contrast(maps[head])
            for name, value in self._placement.items():
                setattr(layer, name, value)
        layers = self._viewer.layers
        if moving := [layers.index(layer) for layer in self.layers.values()]:
            layers.move_multiple(moving, layers.index(image) + 1)
        for head in self._shown:
            self.show(head, True)

    def remove(self) -> None:
        """Take all of them out of the viewer."""
        for layer in self.layers.values():
            self._viewer.layers.remove(layer)
        self._layers.clear()

    def _take(self, image: Image, maps: NDArray[np.float32], scale: tuple[float, float]) -> None:
        self._image = image
        self._maps = maps
        self._placement = placed_on(image, scale, ((scale[0] - 1) / 2, (scale[1] - 1) / 2))

    def _add(self, head: int) -> Image:
        layer = Image(
            self._maps[head],
            name=f"head {head} · DIAMANT",
            colormap=HEAD_COLORMAP,
            blending="additive",
            opacity=HEAD_OPACITY,
            contrast_limits=_contrast(self._maps[head]),
            visible=False,
            metadata={METADATA_KEY: {"head": head}},
            **self._placement,
        )
        layer.events.visible.connect(lambda: self.visibility.emit(head, bool(layer.visible)))
        earlier = next(iter(self.layers.values()), None)
        self._layers[head] = layer
        self._insert(layer)
        if earlier is not None:
            for name in LINKED:
                setattr(layer, name, getattr(earlier, name))
            self._viewer.layers.link_layers([earlier, layer], LINKED)
        return layer

    def _insert(self, layer: Image) -> None:
        """Put a head above the heads before it and below the mask; the selection stays as it was."""
        layers = self._viewer.layers
        selected = set(layers.selection)
        below = [layers.index(other) for other in (self._image, *self.layers.values()) if other in layers]
        layers.insert(max(below) + 1 if below else len(layers), layer)
        layers.selection = selected


def _contrast(values: NDArray[np.float32]) -> tuple[float, float]:
    low, high = (float(value) for value in np.percentile(values, PERCENTILES))
    return (low, high if high > low else low + 1)
