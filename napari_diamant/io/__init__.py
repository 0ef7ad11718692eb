"""One reader and one writer per format; every fault of a file is a `UserError` in one sentence."""

from napari_diamant.io.atomic import atomic
from napari_diamant.io.folders import list_images, pair_by_stem
from napari_diamant.io.formats import stem_of, suffix_of
from napari_diamant.io.read import content_hash, read_image, read_labels, read_volume
from napari_diamant.io.samples import sample_folder
from napari_diamant.io.write import write_labels, write_maps, write_probabilities

__all__ = [
    "atomic",
    "content_hash",
    "list_images",
    "pair_by_stem",
    "read_image",
    "read_labels",
    "read_volume",
    "sample_folder",
    "stem_of",
    "suffix_of",
    "write_labels",
    "write_maps",
    "write_probabilities",
]
