"""The transformer and the network that were used last, kept loaded for the next request."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from napari_diamant.config import AttentionConfig, BackboneConfig, ModelCard
from napari_diamant.errors import UserError
from napari_diamant.types import Array, AttentionMaps, Prediction, Report, silent

if TYPE_CHECKING:
    from torch import nn

    from napari_diamant.engine.attention import AttentionCache
    from napari_diamant.models.backbones import Backbone


class Warm:
    """Loads what is asked for, and keeps the last two of each kind: the window's and the model's may differ.

    Parameters
    ----------
    device
        Name of a device, or ``"auto"``.
    cache
        Folder of computed maps; None computes them every time.
    """

    def __init__(self, device: str = "auto", cache: Path | None = None) -> None:
        self.device = device
        self._cache_folder = cache
        self._backbone = lru_cache(maxsize=2)(_load_backbone)
        self._network = lru_cache(maxsize=2)(_load_network)

    def words(self) -> str:
        """Describe the device that computes."""
        from napari_diamant.engine.device import choose_device, words

        return words(choose_device(self.device))

    def backbone(self, config: BackboneConfig) -> Backbone:
        """Give a frozen transformer."""
        return self._backbone(config, self.device)

    def network(self, path: Path) -> tuple[nn.Module, ModelCard]:
        """Give a network and its card; a file that was replaced meanwhile is read again."""
        if not path.is_file():
            raise UserError(f"There is no model file {path}. Choose another model.")
        return self._network(path, path.stat().st_mtime_ns, self.device)

    def maps(
        self, content: str, pixels: Array, config: AttentionConfig, report: Report = silent
    ) -> AttentionMaps:
        """Give the attention maps of an image, from the cache where they are known."""
        from napari_diamant.engine.attention import attend

        backbone = self.backbone(config.backbone)
        if self._cache_folder is None:
            return attend(pixels, config, backbone, report)
        return self._cache().get(content, config, backbone, lambda: attend(pixels, config, backbone, report))

    def maps_file(self, content: str, config: AttentionConfig) -> Path:
        """Say where the cache keeps the maps of an image."""
        return self._cache().path(content, config, self.backbone(config.backbone))

    def predict(
        self,
        path: Path,
        content: str,
        pixels: Array,
        heads: tuple[int, ...] | None = None,
        report: Report = silent,
    ) -> Prediction:
        """Let a model predict an image, with the maps that its card asks for.

        Raises
        ------
        UserError
            When the model cannot be used on this image, or must not see the image's own maps.
        """
        _, card = self.network(path)
        maps = None
        if card.model.uses_maps and card.attention is not None:
            if card.model.map_control == "shuffled":
                raise UserError(
                    "A model of the control map_control 'shuffled' must see another image's maps, got one"
                    " image. Score it with `evaluate`, or predict with another model."
                )
            maps = self.maps(content, pixels, card.attention, report)
        return self.predict_with(path, pixels, maps, heads, report)

    def predict_with(
        self,
        path: Path,
        pixels: Array,
        maps: AttentionMaps | None,
        heads: tuple[int, ...] | None = None,
        report: Report = silent,
    ) -> Prediction:
        """Let a model predict an image with these maps."""
        from napari_diamant.engine.device import choose_device
        from napari_diamant.engine.predict import predict

        network, card = self.network(path)
        device = choose_device(self.device)
        return predict(network, card, pixels, maps, heads=heads, device=device, report=report)

    def _cache(self) -> AttentionCache:
        from napari_diamant.engine.attention import AttentionCache

        if self._cache_folder is None:
            raise ValueError("these maps are not kept in files")
        return AttentionCache(self._cache_folder)


def _load_backbone(config: BackboneConfig, device: str) -> Backbone:
    from napari_diamant.engine.device import choose_device
    from napari_diamant.models.backbones import load_backbone

    return load_backbone(config, choose_device(device))


def _load_network(path: Path, modified: int, device: str) -> tuple[nn.Module, ModelCard]:
    from napari_diamant.engine import checkpoint
    from napari_diamant.engine.device import choose_device

    return checkpoint.load(path, choose_device(device))
