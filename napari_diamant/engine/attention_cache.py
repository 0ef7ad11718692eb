"""Attention maps on disk: files that can be deleted at any time."""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import cast

import numpy as np

from napari_diamant.config import AttentionConfig
from napari_diamant.io.atomic import atomic
from napari_diamant.models.vit import Backbone
from napari_diamant.types import JSON, AttentionMaps

FORMAT = 1
"""Raised whenever the same image, weights and configuration would give other maps than before."""

DAMAGED = (OSError, ValueError, LookupError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged file raises."""


class AttentionCache:
    """Attention maps by content of the image, weights, and the configuration that shaped them.

    Parameters
    ----------
    folder
        Where the ``.npz`` files lie; made when the first one is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(
        self,
        content_hash: str,
        config: AttentionConfig,
        backbone: Backbone,
        compute: Callable[[], AttentionMaps],
    ) -> AttentionMaps:
        """Give the maps of an image: from the disk, or computed and then kept there.

        A file that cannot be read any more is computed anew.
        """
        path = self.path(content_hash, config, backbone)
        if path.exists():
            try:
                return _read(path)
            except DAMAGED:
                path.unlink(missing_ok=True)
        maps = compute()
        _write(path, maps)
        return maps

    def path(self, content_hash: str, config: AttentionConfig, backbone: Backbone) -> Path:
        """Say where the maps of an image lie, or would lie.

        ``scaling`` and ``upsampling`` are left out, because they are applied after the maps are read, and so
        is ``backbone``, because the weights themselves are counted.
        """
        chosen: JSON = config.model_dump(include={"size", "tile", "overlap", "channels"})
        chosen |= {"block": backbone.block_index(config.block), "format": FORMAT, "content": content_hash}
        chosen |= {"weights": backbone.weights_hash, "heads": backbone.heads, "patch": backbone.patch}
        key = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()
        return self.folder / f"{key}.npz"


def _write(path: Path, maps: AttentionMaps) -> None:
    facts = {name: value for name, value in asdict(maps).items() if name != "maps"}
    with atomic(path) as temporary:
        np.savez(temporary, maps=maps.maps, facts=np.array(json.dumps(facts)))


def _read(path: Path) -> AttentionMaps:
    with np.load(path, allow_pickle=False) as file:
        facts, maps = cast(JSON, json.loads(str(file["facts"]))), file["maps"]
    if maps.ndim != 3 or maps.dtype != np.float32:
        raise ValueError(f"maps of shape {maps.shape}, {maps.dtype}")
    facts |= {name: tuple(facts[name]) for name in ("scale", "image_shape")}  # JSON made lists of them
    return AttentionMaps(maps=maps, **facts)
