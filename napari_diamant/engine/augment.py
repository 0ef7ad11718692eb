"""Paired augmentation: image, maps and labels move together, light and stain change on the image alone.

Geometry is one grid per batch for `torch.nn.functional.grid_sample`, not `torchvision.transforms.v2`, which
draws one set of parameters per call, from the global generator, warps once per tensor and per step (affine,
then elastic), fills what lies outside with a constant, and knows colours of one or three channels. Here each
crop has its own parameters, all steps are composed into one sampling, the outside is mirrored for the image
and `IGNORED` for the labels, any number of channels is taken, and all chance comes from a given seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, pi
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.v2 import functional as vision

from napari_diamant.types import IGNORED


@dataclass(frozen=True)
class Strength:
    """Ranges of the augmentation; each is the largest deviation from "unchanged", 0 switches it off.

    Attributes
    ----------
    orient
        Whether crops are flipped and turned by quarters.
    window
        Side of what is cut from the image, over the side of the crop: room for turning and shrinking.
    zoom
        Scale lies between ``1 / zoom`` and `zoom`, uniform in its logarithm.
    degrees, shear
        Rotation on top of quarter turns; shear as a slope.
    elastic, elastic_chance
        Standard deviation in pixels of the smooth displacement, and the share of crops that get it.
    light, contrast, gamma
        Added brightness; logarithms of contrast and of gamma.
    stain
        Logarithm of the gamma of single channels. By Beer and Lambert's law this scales each channel's
        optical density: moderate, because the stain carries the information.
    noise, blur
        Standard deviations, of intensity and in pixels; `effect_chance` of the crops get each.
    """

    orient: bool = False
    window: float = 1.0
    zoom: float = 1.0
    degrees: float = 0.0
    shear: float = 0.0
    elastic: float = 0.0
    elastic_chance: float = 0.3
    light: float = 0.0
    contrast: float = 0.0
    gamma: float = 0.0
    stain: float = 0.0
    noise: float = 0.0
    blur: float = 0.0
    effect_chance: float = 0.25


STRENGTHS: Mapping[str, Strength] = MappingProxyType(
    {
        "none": Strength(),
        "weak": Strength(orient=True, window=1.25, zoom=1.25),
        "strong": Strength(
            orient=True,
            window=1.5,
            zoom=1.4,
            degrees=45,
            shear=0.1,
            elastic=4,
            light=0.1,
            contrast=0.3,
            gamma=0.3,
            stain=0.15,
            noise=0.05,
            blur=1.5,
        ),
    }
)


@dataclass(frozen=True)
class Augment:
    """From windows cut out of images to augmented crops, on whatever device the tensors are.

    Attributes
    ----------
    strength
        The ranges.
    crop
        Side of the crops that come out, in pixels.
    """

    strength: Strength
    crop: int

    @property
    def window(self) -> int:
        """Side of the windows to hand in: odd or even as the crop is, so that pixel centres meet."""
        return self.crop + 2 * ceil(self.crop * (self.strength.window - 1) / 2)

    def __call__(
        self, image: Tensor, maps: Tensor | None, labels: Tensor, seed: int
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """Augment a batch; the same seed gives the same crops.

        Parameters
        ----------
        image
            ``(B, C, window, window)`` float32 in [0, 1].
        maps
            ``(B, M, window, window)`` float32 in [0, 1], or None.
        labels
            ``(B, window, window)`` integer.
        seed
            Of every random choice.

        Returns
        -------
        image, maps, labels
            The same with sides of `crop`; labels int64, `IGNORED` where the window had no pixel.
        """
        generator = torch.Generator().manual_seed(seed)
        if self.strength == Strength():
            return image, maps, labels.long()
        grid = self._grid(len(image), generator).to(image.device)
        channels = image.shape[1]
        both = image if maps is None else torch.cat([image, maps], dim=1)
        both = functional.grid_sample(both, grid, padding_mode="reflection", align_corners=False)
        image = photometric(both[:, :channels], self.strength, generator)
        return image, None if maps is None else both[:, channels:], warp_labels(labels, grid)

    def _grid(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw where in its window each crop's pixels lie: ``(B, crop, crop, 2)``, x before y, in [-1, 1]."""
        matrix = draw_matrices(count, self.strength, generator) * (self.crop / self.window)
        theta = torch.cat([matrix, torch.zeros(count, 2, 1)], dim=2)
        grid = functional.affine_grid(theta, [count, 1, self.crop, self.crop], align_corners=False)
        if self.strength.elastic == 0:
            return grid
        shifts = draw_displacement(count, self.crop, self.strength, generator)
        return grid + shifts * (2 / self.window)


def draw_matrices(count: int, strength: Strength, generator: torch.Generator) -> Tensor:
    """Draw linear maps from crop to window, ``(count, 2, 2)`` acting on (x, y)."""
    angle = signed(count, generator) * strength.degrees * pi / 180
    if strength.orient:
        angle = angle + torch.randint(4, (count,), generator=generator) * (pi / 2)
    zoom = strength.zoom ** -signed(count, generator)
    slope = signed(count, generator) * strength.shear
    flip = torch.where(torch.rand(count, generator=generator) < 0.5 * strength.orient, -1.0, 1.0)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).view(count, 2, 2)
    stretch = torch.stack([flip, slope, torch.zeros(count), torch.ones(count)], dim=1).view(count, 2, 2)
    return zoom.view(-1, 1, 1) * (turn @ stretch)


def draw_displacement(count: int, side: int, strength: Strength, generator: torch.Generator) -> Tensor:
    """Draw displacements in pixels, ``(count, side, side, 2)``: a coarse random grid, bicubically filled."""
    coarse = torch.randn(count, 2, 6, 6, generator=generator) * strength.elastic
    chosen = torch.rand(count, 1, 1, 1, generator=generator) < strength.elastic_chance
    fine = functional.interpolate(coarse * chosen, size=(side, side), mode="bicubic", align_corners=True)
    return fine.permute(0, 2, 3, 1)


def warp_labels(labels: Tensor, grid: Tensor) -> Tensor:
    """Take each crop pixel's nearest label, `IGNORED` outside the window: ``(B, H, W)`` int64."""
    warped = functional.grid_sample(
        labels.unsqueeze(1).float(), grid, mode="nearest", padding_mode="border", align_corners=False
    )
    outside = grid.abs().amax(dim=-1) > 1  # (B, H, W)
    return warped.squeeze(1).round().long().masked_fill(outside, IGNORED)


def photometric(image: Tensor, strength: Strength, generator: torch.Generator) -> Tensor:
    """Change light, contrast, gamma and stain of each image, blur and grain some; all stays in [0, 1]."""
    count, channels = image.shape[:2]

    def one() -> Tensor:
        return signed(count, generator).view(-1, 1, 1, 1).to(image.device)

    per_channel = signed(count * channels, generator).view(count, channels, 1, 1).to(image.device)
    image = image.clamp(0, 1) ** torch.exp(strength.gamma * one() + strength.stain * per_channel)
    mean = image.mean(dim=(2, 3), keepdim=True)
    image = mean + (image - mean) * torch.exp(strength.contrast * one()) + strength.light * one()
    return grain(blur_some(image, strength, generator), strength, generator).clamp(0, 1)


def blur_some(image: Tensor, strength: Strength, generator: torch.Generator) -> Tensor:
    """Blur a share of the images, each by its own width."""
    chosen = torch.rand(len(image), generator=generator) < strength.effect_chance
    widths = (torch.rand(len(image), generator=generator) * strength.blur).clamp(min=0.1)
    if strength.blur == 0 or not chosen.any():
        return image
    blurred = [
        vision.gaussian_blur(one, [2 * ceil(3 * width) + 1] * 2, [width, width]) if hit else one
        for one, width, hit in zip(image, widths.tolist(), chosen.tolist(), strict=True)
    ]
    return torch.stack(blurred)


def grain(image: Tensor, strength: Strength, generator: torch.Generator) -> Tensor:
    """Add noise to a share of the images, each of its own strength."""
    chosen = torch.rand(len(image), generator=generator) < strength.effect_chance
    levels = torch.rand(len(image), generator=generator) * strength.noise * chosen
    # Drawn where the image is: a full-size field is slow to make and to move from the CPU.
    seed = int(torch.randint(2**62, (), generator=generator))
    local = torch.Generator(image.device).manual_seed(seed)
    field = torch.randn(image.shape, generator=local, device=image.device)
    return image + field * levels.view(-1, 1, 1, 1).to(image.device)


def signed(count: int, generator: torch.Generator) -> Tensor:
    """Draw `count` numbers uniformly from [-1, 1]."""
    return torch.rand(count, generator=generator) * 2 - 1
