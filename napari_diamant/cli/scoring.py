"""Scores of masks that are there already, made by this program or by any other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from napari_diamant.errors import UserError
from napari_diamant.types import JSON, Progress, Report

if TYPE_CHECKING:
    from napari_diamant.engine.evaluate import Scored


def score_masks(images: Path, masks: Path, predictions: Path, classes: Sequence[str], report: Report) -> JSON:
    """Compare a folder of predicted masks with the true ones; all three folders pair by stem.

    Further files among the predictions, such as probabilities, are left out.

    Raises
    ------
    UserError
        A folder lacks a partner, or a mask does not fit its image.
    """
    from napari_diamant.engine.evaluate import evaluate
    from napari_diamant.io import list_images, pair_by_stem, stem_of

    pairs = pair_by_stem(images, masks)
    made = {stem_of(path): path for path in list_images(predictions)}
    missing = [stem_of(image) for image, _ in pairs if stem_of(image) not in made]
    if missing:
        shown = ", ".join(missing[:5]) + (" …" if len(missing) > 5 else "")
        raise UserError(
            f"Every image needs a prediction of its stem in {predictions}, got none for {len(missing)} of"
            f" {len(pairs)} ({shown}). Predict these images, or leave them out."
        )
    evaluation = evaluate(_scored(pairs, made, report), classes)
    return {**evaluation.as_json(), "predictions": str(predictions)}


def _scored(pairs: Sequence[tuple[Path, Path]], made: dict[str, Path], report: Report) -> Iterator[Scored]:
    from napari_diamant.io import read_image, read_labels, stem_of

    for number, (image, mask) in enumerate(pairs):
        report(Progress(image.name, number, len(pairs)))
        name = stem_of(image)
        yield name, read_labels(made[name]), read_labels(mask), read_image(image).spacing
