"""Synthetic glandular tissue stained with haematoxylin and eosin, with its exact masks."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from texture import Field, blob, fibres, scatter, smooth_noise

Mask = NDArray[np.bool_]

# Optical density of each stain in red, green and blue: Ruifrok and Johnston, Anal Quant Cytol Histol 2001,
# moved a little towards the violet and pink of scanned slides.
HAEMATOXYLIN = np.array([0.60, 0.74, 0.30])
EOSIN = np.array([0.13, 0.94, 0.32])


@dataclass
class Slide:
    """What is being drawn: the amount of each stain per pixel, and what is where."""

    haematoxylin: Field
    eosin: Field
    glands: Mask
    nuclei: Mask = field(init=False)

    def __post_init__(self) -> None:
        self.nuclei = np.zeros(self.glands.shape, bool)


def draw(rng: np.random.Generator, side: int = 384) -> tuple[NDArray[np.uint8], Mask, Mask]:
    """Draw one image: ``(Y, X, 3)`` colours, the mask of the glands and that of the nuclei."""
    glands, inside = _glands(rng, (side, side))
    outside = ndimage.distance_transform_edt(~glands)
    angle = _fibre_angle(rng, outside)
    slide = Slide(np.zeros((side, side)), np.zeros((side, side)), glands)
    _stroma(rng, slide, angle, outside)
    wall = _epithelium(rng, slide, inside)
    _stroma_cells(rng, slide, angle, outside)
    _epithelial_nuclei(rng, slide, inside, wall)
    return _expose(rng, slide), glands, slide.nuclei


def _glands(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Mask, Field]:
    """Place glands of many sizes without touching; give their mask and the depth inside each of them."""
    size = rng.uniform(0.8, 1.25)
    glands, clear = np.zeros(shape, bool), np.full(shape, np.inf)
    for radius in sorted(rng.uniform(24, 74, 150) * size, reverse=True):
        centre = rng.uniform(-20, np.array(shape) + 20)
        radii = (radius * rng.uniform(1, 1.45), radius * rng.uniform(0.7, 0.95))
        box, relative = blob(rng, shape, centre, radii, rng.uniform(0, np.pi), bumps=0.16)
        new = np.zeros(shape, bool)
        new[box] = relative < 1
        gap = rng.uniform(7, 18)
        if new.sum() > 900 and clear[new].min() >= gap:
            glands |= new
            clear = ndimage.distance_transform_edt(~glands)
    # Depth is measured on a larger canvas, so that a gland cut by the image's edge has no wall along it.
    return glands, ndimage.distance_transform_edt(np.pad(glands, 60, mode="edge"))[60:-60, 60:-60]


def _fibre_angle(rng: np.random.Generator, outside: Field) -> Field:
    """Let fibres run around glands, and wander between them."""
    slope = np.gradient(ndimage.gaussian_filter(outside, 5))
    around = np.arctan2(slope[0], slope[1]) + np.pi / 2
    wander = smooth_noise(rng, outside.shape, 45) * 0.8 + rng.uniform(0, np.pi)
    near = np.exp(-outside / 14)
    # Angles of lines are averaged doubled, since a line turned by half a circle is the same line.
    doubled = near * np.exp(2j * around) + (1 - near) * np.exp(2j * wander)
    return np.angle(doubled) / 2


def _stroma(rng: np.random.Generator, slide: Slide, angle: Field, outside: Field) -> None:
    shape = outside.shape
    coarse, fine = fibres(rng, angle, 40, 2.2), fibres(rng, angle, 22, 0.8)
    density = smooth_noise(rng, shape, 28)
    eosin = 0.40 + 0.10 * coarse + 0.06 * fine + 0.06 * density
    looseness = -coarse - 0.5 * fine + 1.2 * smooth_noise(rng, shape, 16) - rng.uniform(1.9, 3.0)
    clefts = _soft(looseness, 0.5) * _soft(outside - 4, 1.5)
    membrane = np.exp(-(((outside - 1.5) / 1.2) ** 2))
    slide.eosin += np.clip(eosin * (1 - 0.93 * clefts) + 0.22 * membrane, 0.01, None)
    slide.haematoxylin += (0.10 + 0.03 * smooth_noise(rng, shape, 6)) * (1 - clefts)


def _epithelium(rng: np.random.Generator, slide: Slide, inside: Field) -> Field:
    """Paint walls and lumens; give the thickness of the wall at each pixel."""
    shape = inside.shape
    wall = rng.uniform(18, 29) + 4.0 * smooth_noise(rng, shape, 16) + 1.2 * smooth_noise(rng, shape, 4)
    lumen = _soft(inside - wall, 0.9)
    secretion = np.clip(
        0.05 + 0.07 * smooth_noise(rng, shape, 10) + 0.02 * smooth_noise(rng, shape, 2), 0.012, None
    )
    secretion += 0.45 * _soft(smooth_noise(rng, shape, 5) + 0.6 * smooth_noise(rng, shape, 1.5) - 2.0, 0.3)
    eosin = 0.40 + 0.05 * smooth_noise(rng, shape, 7) + 0.04 * smooth_noise(rng, shape, 1.2)
    eosin = eosin + 0.16 * np.exp(-(((inside - wall + 1.5) / 1.5) ** 2))
    haematoxylin = 0.27 + 0.04 * smooth_noise(rng, shape, 8) + 0.03 * smooth_noise(rng, shape, 1.5)
    goblets = _goblets(rng, slide.glands, inside, wall)
    eosin = eosin * (1 - 0.72 * goblets)
    haematoxylin = haematoxylin * (1 - 0.45 * goblets)
    edge = ndimage.gaussian_filter(slide.glands.astype(float), 0.6)
    slide.eosin = slide.eosin * (1 - edge) + edge * (eosin * (1 - lumen) + secretion * lumen)
    slide.haematoxylin = slide.haematoxylin * (1 - edge) + edge * (haematoxylin * (1 - lumen) + 0.012 * lumen)
    return wall


def _goblets(rng: np.random.Generator, glands: Mask, inside: Field, wall: Field) -> Field:
    """Draw the pale drops of mucus that goblet cells hold towards the lumen."""
    band = glands & (inside > 13) & (inside < wall - 1)
    drops = np.zeros(inside.shape)
    slope = _inward(inside)
    spread = rng.uniform(9, 17)
    for centre in scatter(rng, band, spread):
        angle = slope[int(centre[0]) % inside.shape[0], int(centre[1]) % inside.shape[1]]
        radii = (rng.uniform(4.5, 7.5), rng.uniform(2.8, 4.2))
        box, relative = blob(rng, inside.shape, centre, radii, angle, bumps=0.1)
        drops[box] = np.maximum(drops[box], _soft(1 - relative, 0.12))
    return drops


def _stroma_cells(rng: np.random.Generator, slide: Slide, angle: Field, outside: Field) -> None:
    """Add fibroblasts along the fibres, lymphocytes in crowds, and a few red cells."""
    shape = outside.shape
    crowd = smooth_noise(rng, shape, 22)
    for centre in _thin(rng, scatter(rng, (outside > 5) & (crowd > rng.uniform(0.7, 1.5)), 7.2)):
        radius = rng.uniform(2.8, 4.2)
        _nucleus(rng, slide, centre, (radius, radius * rng.uniform(0.75, 1)), 0.0, rng.uniform(0.9, 1.4))
    for centre in _thin(rng, scatter(rng, (outside > 4) & (crowd < 1.0), rng.uniform(10, 14))):
        turn = angle[int(centre[0]) % shape[0], int(centre[1]) % shape[1]] + rng.normal(0, 0.2)
        radii = (rng.uniform(4.5, 10.5), rng.uniform(1.7, 3.1))
        _nucleus(rng, slide, centre, radii, turn, rng.uniform(0.5, 1.2))
    vessels = smooth_noise(rng, shape, 9)
    for centre in scatter(rng, (outside > 6) & (vessels > 2.1) & ~slide.nuclei, 6.5, most=40):
        box, relative = blob(rng, shape, centre, (3.4, 3.0), rng.uniform(0, np.pi), bumps=0.05)
        disc = _soft(1 - relative, 0.12)
        slide.eosin[box] = slide.eosin[box] * (1 - disc) + disc * rng.uniform(0.95, 1.15)
        slide.haematoxylin[box] *= 1 - 0.8 * disc


def _thin(rng: np.random.Generator, places: Field) -> Field:
    """Take a third of the places away: cells keep their distance, and yet form no lattice."""
    return places[rng.random(len(places)) < 0.67]


def _epithelial_nuclei(rng: np.random.Generator, slide: Slide, inside: Field, wall: Field) -> None:
    """Set long nuclei upright on the basement membrane, partly in a second row."""
    slope = _inward(inside)
    shape = inside.shape
    crowding = rng.uniform(6.0, 7.4)
    basal = scatter(rng, slide.glands & (inside > 5.5) & (inside < 8.5), crowding)
    upper = scatter(rng, slide.glands & (inside > 10) & (inside < np.minimum(wall - 5, 15)), 2.3 * crowding)
    for centre in np.concatenate([basal, upper]):
        angle = slope[int(centre[0]) % shape[0], int(centre[1]) % shape[1]] + rng.normal(0, 0.15)
        radii = (rng.uniform(5.0, 7.0), rng.uniform(2.7, 3.6))
        _nucleus(rng, slide, centre, radii, angle, rng.uniform(0.75, 1.2))


def _nucleus(
    rng: np.random.Generator,
    slide: Slide,
    centre: Field,
    radii: tuple[float, float],
    angle: float,
    stain: float,
) -> None:
    shape = slide.glands.shape
    box, relative = blob(rng, shape, centre, radii, angle, bumps=0.10)
    if relative.size == 0:
        return
    cover = _soft(1 - relative, 0.10)
    grain = ndimage.gaussian_filter(rng.standard_normal(relative.shape), 1.0) * 2.2
    chromatin = stain * (0.80 + 0.16 * grain + 0.30 * np.exp(-(((relative - 0.9) / 0.16) ** 2)))
    slide.haematoxylin[box] = slide.haematoxylin[box] * (1 - cover) + cover * np.clip(chromatin, 0.35, 1.7)
    slide.eosin[box] *= 1 - 0.45 * cover
    slide.nuclei[box] |= relative < 1


def _expose(rng: np.random.Generator, slide: Slide) -> NDArray[np.uint8]:
    """Stain, light, blur and record: Beer and Lambert's law, then the scanner."""
    shape = slide.glands.shape
    strength = rng.uniform(0.8, 1.4, 2)
    vectors = np.stack([HAEMATOXYLIN, EOSIN]) * rng.normal(1, 0.045, (2, 3))
    uneven = 1 + 0.07 * np.stack([smooth_noise(rng, shape, 60), smooth_noise(rng, shape, 60)])
    amounts = np.stack([slide.haematoxylin, slide.eosin]) * uneven * strength[:, None, None]
    density = np.einsum("syx,sc->yxc", amounts, vectors)
    light = rng.uniform(236, 246) * rng.normal(1, 0.008, 3)
    image = light * np.exp(-density)
    image = ndimage.gaussian_filter(image, (rng.uniform(0.55, 0.9),) * 2 + (0,))
    image += ndimage.gaussian_filter(rng.normal(0, 4.5, image.shape), (0.6, 0.6, 0))
    return np.clip(np.round(image), 0, 255).astype(np.uint8)


def _inward(inside: Field) -> Field:
    """Give the direction into the gland at each pixel."""
    slope = np.gradient(ndimage.gaussian_filter(inside, 2))
    return np.arctan2(slope[0], slope[1])


def _soft(value: Field, width: float) -> Field:
    """Step from 0 to 1 around 0 within about `width`."""
    return 1 / (1 + np.exp(-np.clip(value / width * 2, -40, 40)))
