"""Images to try: the project's own, with exact masks, and two real ones that come with scikit-image."""

from __future__ import annotations

from napari_diamant.errors import UserError
from napari_diamant.gui.reader import METADATA_KEY, LayerData, image_layer


def tissue() -> list[LayerData]:
    """Open the first synthetic tissue section with glands, stained like H&E."""
    return _shipped("tissue")


def fluorescence() -> list[LayerData]:
    """Open the first synthetic image of fluorescent nuclei."""
    return _shipped("nuclei")


def immunohistochemistry() -> list[LayerData]:
    """Open scikit-image's stained section of colon, a real image without a mask."""
    return _of_skimage("immunohistochemistry")


def retina() -> list[LayerData]:
    """Open scikit-image's fundus photograph, a real image without a mask."""
    return _of_skimage("retina")


def _shipped(kind: str) -> list[LayerData]:
    from napari_diamant.io import list_images, read_image, sample_folder

    path = list_images(sample_folder() / kind / "images")[0]
    pixels, options, layer_type = image_layer(read_image(path), path.stem)
    return [(pixels, {**options, "metadata": {METADATA_KEY: {"path": str(path)}}}, layer_type)]


def _of_skimage(name: str) -> list[LayerData]:
    from skimage import data

    try:
        pixels = getattr(data, name)()
    except OSError as error:
        raise UserError(f"scikit-image has to download {name!r} first and could not: {error}.") from error
    return [(pixels, {"name": name, "rgb": True}, "image")]
