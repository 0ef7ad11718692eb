"""What a fit lowers: soft Dice and cross-entropy, both blind to ignored pixels."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from napari_diamant.types import IGNORED


def segmentation_loss(logits: Tensor, labels: Tensor, dice_weight: float = 0.5) -> Tensor:
    """Mix soft Dice and cross-entropy over the labelled pixels of a batch, in float32.

    Parameters
    ----------
    logits
        ``(B, K, H, W)``, any floating type.
    labels
        ``(B, H, W)`` int64, `IGNORED` where nothing is known.
    dice_weight
        Share of the Dice term; the rest is cross-entropy.

    Returns
    -------
    Tensor
        A scalar; zero, still with a gradient, when the batch has no labelled pixel.
    """
    logits = logits.float()
    dice = soft_dice_loss(logits, labels)
    return dice_weight * dice + (1 - dice_weight) * cross_entropy(logits, labels)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Average the cross-entropy over the labelled pixels; torch's own mean is NaN where there are none."""
    total = functional.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum")
    return total / (labels != IGNORED).sum().clamp(min=1)


def soft_dice_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Give one minus the mean soft Dice of the classes that occur among the batch's labelled pixels.

    Numerator and denominator are summed over the whole batch before they are divided (V-Net's Dice, Milletari
    et al. 2016, pooled), so a crop with three pixels of a class does not weigh as much as one full of it.
    MONAI's masked Dice takes the mask before its softmax, so that ignored pixels still count in the
    denominator; here they count nowhere.

    Parameters
    ----------
    logits
        ``(B, K, H, W)`` float32.
    labels
        ``(B, H, W)`` int64.
    """
    known = (labels != IGNORED).unsqueeze(1)  # (B, 1, H, W)
    probabilities = logits.softmax(dim=1) * known  # (B, K, H, W)
    truth = torch.zeros_like(probabilities).scatter_(1, labels.clamp(min=0).unsqueeze(1), 1.0) * known
    overlap = (probabilities * truth).sum(dim=(0, 2, 3))  # (K,)
    size = truth.sum(dim=(0, 2, 3))
    dice = 2 * overlap / (probabilities.sum(dim=(0, 2, 3)) + size).clamp(min=1)
    present = (size > 0).to(dice)
    return (present * (1 - dice)).sum() / present.sum().clamp(min=1)
