import numpy as np
import pytest
import torch

from napari_diamant.engine.losses import cross_entropy, segmentation_loss, soft_dice_loss
from napari_diamant.types import IGNORED


@pytest.fixture
def logits():
    return torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0), requires_grad=True)


@pytest.fixture
def labels():
    labels = torch.randint(3, (2, 8, 8), generator=torch.Generator().manual_seed(1))
    labels[:, :4] = IGNORED
    return labels


@pytest.mark.parametrize("dice_weight", [0.0, 0.5, 1.0])
def test_ignored_pixels_have_no_gradient_and_no_say(logits, labels, dice_weight):
    loss = segmentation_loss(logits, labels, dice_weight)
    loss.backward()
    assert logits.grad[:, :, :4].abs().max() == 0
    assert logits.grad[:, :, 4:].abs().max() > 0
    changed = logits.detach().clone()
    changed[:, :, :4] += 100 * torch.rand(2, 3, 4, 8)
    assert segmentation_loss(changed, labels, dice_weight) == loss


def test_a_batch_without_labels_costs_nothing_and_stays_differentiable(logits, labels):
    loss = segmentation_loss(logits, torch.full_like(labels, IGNORED))
    loss.backward()
    assert loss == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_a_sure_and_right_prediction_costs_almost_nothing(labels):
    sure = 50 * torch.nn.functional.one_hot(labels.clamp(min=0), 3).permute(0, 3, 1, 2).float()
    assert segmentation_loss(sure, labels) < 1e-4
    assert segmentation_loss(sure.roll(1, dims=1), labels) > 10


def test_dice_is_the_textbook_formula_pooled_over_the_batch(logits, labels):
    known = (labels != IGNORED).numpy()
    odds = logits.softmax(dim=1).detach().numpy()
    dice = []
    for label in range(3):
        ours, truth = odds[:, label][known], labels.numpy()[known] == label
        dice.append(2 * (ours * truth).sum() / (ours.sum() + truth.sum()))
    assert soft_dice_loss(logits, labels).item() == pytest.approx(1 - np.mean(dice), abs=1e-6)


def test_a_class_that_does_not_occur_is_not_asked_for(logits, labels):
    two = torch.where(labels == 2, 0, labels)
    dice = soft_dice_loss(logits, two)
    known = (two != IGNORED).unsqueeze(1)
    odds = logits.softmax(dim=1) * known
    parts = [2 * (odds[:, k] * (two == k)).sum() / (odds[:, k].sum() + (two == k).sum()) for k in (0, 1)]
    assert dice.item() == pytest.approx(1 - (sum(parts) / 2).item(), abs=1e-6)


def test_cross_entropy_is_the_mean_over_labelled_pixels(logits, labels):
    expected = torch.nn.functional.cross_entropy(logits, labels, ignore_index=IGNORED)
    assert cross_entropy(logits, labels).item() == pytest.approx(expected.item(), abs=1e-6)


def test_half_precision_logits_are_scored_in_float32(logits, labels):
    loss = segmentation_loss(logits.bfloat16(), labels)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(segmentation_loss(logits, labels).item(), abs=0.02)
