"""Every choice of the method as a field: frozen, checked, written into every checkpoint."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Architecture = Literal["unet", "diamant"]
Norm = Literal["instance", "group", "batch"]
Fusion = Literal["skips", "bottleneck"]

STAND_IN = "random-vit-s8"
"""The small randomly initialised vision transformer that stands in while no trained weights are given."""


class Config(BaseModel):
    """Frozen settings that refuse unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class BackboneConfig(Config):
    """Which frozen vision transformer makes the maps.

    Attributes
    ----------
    name
        A key of `napari_diamant.models.backbones.BACKBONES`.
    weights
        Path of a ``.safetensors`` or ``.pth`` file; None takes what the name stands for (a download through
        timm for published ones, the seeded initialisation for the stand-in).
    seed
        Seed of the initialisation where the name has no trained weights.
    """

    name: str = STAND_IN
    weights: str | None = None
    seed: int = 0


class AttentionConfig(Config):
    """How maps are computed from an image and handed to a network.

    Attributes
    ----------
    backbone
        The vision transformer.
    block
        Transformer block whose attention is read; negative counts from the end.
    size
        ``"native"``, or the length in pixels that the shorter side is resized to (DINO's script: 480).
    tile, overlap
        Images with a longer side than `tile` pixels (after resizing) are read in overlapping tiles.
    channels
        Which channels of a multi-channel image become red, green and blue; None takes the first three, or
        repeats a single one.
    scaling
        How each head is brought to [0, 1] for a network: ``"minmax"``, or ``"percentile"`` (1 to 99, which
        keeps one hot token from blackening the map).
    upsampling
        From patches to pixels: ``"nearest"`` as DINO's script does, or ``"bilinear"``.
    """

    backbone: BackboneConfig = BackboneConfig()
    block: int = -1
    size: Literal["native"] | int = "native"
    tile: int = Field(1024, ge=64)
    overlap: int = Field(256, ge=0)
    channels: tuple[int, ...] | None = None
    scaling: Literal["minmax", "percentile"] = "percentile"
    upsampling: Literal["nearest", "bilinear"] = "bilinear"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.size != "native" and self.size < 32:
            raise ValueError(f"size must be 'native' or at least 32 pixels, got {self.size}")
        if self.overlap * 2 > self.tile:
            raise ValueError(f"overlap must be at most half of tile ({self.tile}), got {self.overlap}")
        if self.channels is not None and len(self.channels) not in (1, 3):
            raise ValueError(f"channels must name one or three channels, got {self.channels}")
        return self


class ModelConfig(Config):
    """A network, complete: two equal configurations build the same graph.

    Attributes
    ----------
    arch
        ``"diamant"`` (an image encoder and an attention encoder) or ``"unet"`` (one encoder).
    classes
        Names of the classes, background first.
    image_channels
        Channels of the image given to the network; grey images are repeated to fill them.
    maps
        Number of attention maps the network takes; with ``unet_input="image"`` it is not used.
    width, depth
        Channels of the first level, and the number of levels above the bottleneck.
    norm
        Normalisation after each convolution.
    fusion
        `diamant` only: concatenate both encoders at every level, or at the bottleneck alone.
    unet_input
        `unet` only: what its encoder sees. ``"image+maps"`` is the control "maps as extra channels".
    second_input
        `diamant` only: what its second encoder sees. ``"image"`` is the control "the image twice".
    map_control
        ``"shuffled"`` gives every image the maps of another one of its batch or set, ``"constant"`` replaces
        every map by its mean; both are controls.
    head_dropout
        Probability with which each head is set to zero in training (at least one always stays).
    """

    arch: Architecture = "diamant"
    classes: tuple[str, ...] = ("background", "foreground")
    image_channels: int = Field(3, ge=1)
    maps: int = Field(6, ge=1)
    width: int = Field(16, ge=1)
    depth: int = Field(4, ge=1, le=7)
    norm: Norm = "instance"
    fusion: Fusion = "skips"
    unet_input: Literal["image", "maps", "image+maps"] = "image"
    second_input: Literal["maps", "image"] = "maps"
    map_control: Literal["none", "shuffled", "constant"] = "none"
    head_dropout: float = Field(0.2, ge=0, lt=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(self.classes) < 2 or len(set(self.classes)) != len(self.classes):
            raise ValueError(f"classes must be two or more different names, got {self.classes}")
        return self

    @property
    def uses_maps(self) -> bool:
        """True when the network looks at attention maps at all."""
        if self.arch == "diamant":
            return self.second_input == "maps"
        return self.unet_input != "image"

    @property
    def size_multiple(self) -> int:
        """Height and width given to the network must be multiples of this."""
        return int(2**self.depth)


class TrainConfig(Config):
    """One fit, of `train` and of `fine-tune` alike.

    Attributes
    ----------
    epochs, minutes
        The fit ends at whichever comes first; None means that the other decides.
    steps_per_epoch
        Optimiser steps per epoch; None takes one pass over the images, at least 25.
    batch_size, crop
        Crops per step and their side in pixels.
    learning_rate, weight_decay
        AdamW's; the rate follows a cosine from a short warm-up to 1 % of itself.
    dice_weight
        Share of soft Dice in the loss; the rest is cross-entropy.
    augment
        Strength of the paired augmentation.
    val_fraction
        Share of the images (or of blocks of them, when they are few) that is held out and never learned from.
    patience
        Stop after so many epochs without a better held-out Dice; None never stops early.
    seed
        Seed of the split, the crops, the augmentation and new weights.
    precision
        ``"auto"`` takes bf16 where the hardware has it, the CPU included.
    device
        ``"auto"`` takes CUDA, then Apple's MPS, then the CPU.
    """

    epochs: int | None = Field(None, ge=1)
    minutes: float | None = Field(None, gt=0)
    steps_per_epoch: int | None = Field(None, ge=1)
    batch_size: int = Field(4, ge=1)
    crop: int = Field(224, ge=32)
    learning_rate: float = Field(2e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    dice_weight: float = Field(0.5, ge=0, le=1)
    augment: Literal["none", "weak", "strong"] = "strong"
    val_fraction: float = Field(0.2, ge=0, lt=1)
    patience: int | None = Field(20, ge=1)
    seed: int = 0
    precision: Literal["auto", "float32", "bf16"] = "auto"
    device: str = "auto"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.epochs is None and self.minutes is None:
            raise ValueError("one of epochs and minutes must be given, got neither")
        return self


class ModelCard(Config):
    """What stands beside the weights: enough to rebuild the model alone and to know where it comes from.

    Attributes
    ----------
    model, attention, train
        The configurations; `attention` is None for a network that takes no maps.
    backbone_hash
        SHA-256 of the frozen transformer's weights; prediction with other weights is refused.
    normalisation
        Rule that brings an image to the network's range, see `napari_diamant.preprocess.to_unit`.
    parent
        Identity (SHA-256 of the weights) of the model it started from.
    learned_from, held_out
        Content hashes of the images of each part.
    scores
        Held-out scores at the end of the fit, and before it where a parent was given.
    versions
        Versions of this program, torch and timm.
    created
        ISO 8601, UTC.
    """

    model: ModelConfig
    attention: AttentionConfig | None = None
    train: TrainConfig | None = None
    backbone_hash: str | None = None
    normalisation: Literal["percentile"] = "percentile"
    parent: str | None = None
    learned_from: tuple[str, ...] = ()
    held_out: tuple[str, ...] = ()
    scores: dict[str, float] = {}
    versions: dict[str, str] = {}
    created: str = ""
    format: int = 1
