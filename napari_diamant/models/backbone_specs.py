"""Which frozen vision transformers there are, as plain data: importing this module imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from napari_diamant.config import STAND_IN

ACCEPT_DINOV3 = "NAPARI_DIAMANT_ACCEPT_DINOV3"
"""Environment variable; ``1`` says that the user has read and accepts the DINOv3 licence."""


@dataclass(frozen=True)
class BackboneSpec:
    """The shape of a vision transformer and where its published weights come from.

    Attributes
    ----------
    title
        Name for people.
    patch, heads, width, depth
        Side of a patch in pixels, attention heads, embedding dimension, number of blocks.
    timm_name
        Name in timm, with the tag of the weights; None for plain transformers that nobody has published.
    registers
        Extra tokens between the class token and the patches.
    layer_scale, rotary
        Whether blocks scale their output per channel, and whether positions enter by rotation.
    positions
        How absolute position embeddings reach another size: ``"dino"`` (bicubic by scale factor with 0.1
        added, no antialiasing: DINO, and DINOv2 without registers) or ``"timm"`` (by target size, with
        antialiasing, as DINOv2 with registers was published).
    licence, opt_in
        Licence of the published weights, and whether the user has to accept it first.
    download_mb
        Size of the published weights in megabytes.
    """

    title: str
    patch: int
    heads: int
    width: int
    depth: int
    timm_name: str | None = None
    registers: int = 0
    layer_scale: bool = False
    rotary: bool = False
    positions: Literal["dino", "timm"] = "dino"
    licence: str = "Apache-2.0"
    opt_in: bool = False
    download_mb: int = 0

    @property
    def form(self) -> tuple[int, int, int, int, bool, bool]:
        """What the shapes in a file of weights tell: two equal forms hold each other's weights."""
        return (self.patch, self.width, self.depth, self.registers, self.layer_scale, self.rotary)


def _dino(size: Literal["S", "B"], patch: int) -> BackboneSpec:
    heads, megabytes = (6, 87) if size == "S" else (12, 343)
    word = {"S": "small", "B": "base"}[size]
    name = f"vit_{word}_patch{patch}_224.dino"
    return BackboneSpec(f"DINO ViT-{size}/{patch}", patch, heads, heads * 64, 12, name, download_mb=megabytes)


def _dinov2(size: Literal["S", "B"], registers: int) -> BackboneSpec:
    heads, megabytes = (6, 88) if size == "S" else (12, 346)
    word = {"S": "small", "B": "base"}[size]
    return BackboneSpec(
        f"DINOv2 ViT-{size}/14" + (" with registers" if registers else ""),
        patch=14,
        heads=heads,
        width=heads * 64,
        depth=12,
        timm_name=f"vit_{word}_patch14_{'reg4_' if registers else ''}dinov2.lvd142m",
        registers=registers,
        layer_scale=True,
        positions="timm" if registers else "dino",
        download_mb=megabytes,
    )


def _dinov3(size: Literal["S", "B"]) -> BackboneSpec:
    heads, megabytes = (6, 86) if size == "S" else (12, 343)
    word = {"S": "small", "B": "base"}[size]
    return BackboneSpec(
        f"DINOv3 ViT-{size}/16",
        patch=16,
        heads=heads,
        width=heads * 64,
        depth=12,
        timm_name=f"vit_{word}_patch16_dinov3.lvd1689m",
        registers=4,
        layer_scale=True,
        rotary=True,
        positions="timm",
        licence="DINOv3 License",
        opt_in=True,
        download_mb=megabytes,
    )


BACKBONES: Mapping[str, BackboneSpec] = MappingProxyType(
    {
        STAND_IN: BackboneSpec("small ViT/8", patch=8, heads=6, width=192, depth=6, licence="BSD-3-Clause"),
        "dino-vits16": _dino("S", 16),
        "dino-vits8": _dino("S", 8),
        "dino-vitb16": _dino("B", 16),
        "dino-vitb8": _dino("B", 8),
        "dinov2-vits14": _dinov2("S", 0),
        "dinov2-vits14-reg": _dinov2("S", 4),
        "dinov2-vitb14": _dinov2("B", 0),
        "dinov2-vitb14-reg": _dinov2("B", 4),
        "dinov3-vits16": _dinov3("S"),
        "dinov3-vitb16": _dinov3("B"),
    }
)
"""Name to what stands behind it."""
