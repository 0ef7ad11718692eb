"""Attention, prediction and fine-tuning on a project's own images and corrections."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_diamant.config import AttentionConfig, ModelCard, ModelConfig, TrainConfig
from napari_diamant.errors import UserError
from napari_diamant.project import catalog
from napari_diamant.project.lessons import labels_to_learn
from napari_diamant.types import JSON, AttentionMaps, Prediction, Progress, Report, Sample

if TYPE_CHECKING:
    from napari_diamant.engine.dataset import TrainingImage
    from napari_diamant.engine.train import FitResult
    from napari_diamant.project.project import Project
    from napari_diamant.project.warm import Warm

NO_MODEL = (
    "No model has been trained yet, so there is no mask to predict. Correct an image and press Fine-tune"
    " (or run `napari-diamant fine-tune PROJECT`)."
)
NOTHING_TO_LEARN = "There is nothing to learn from yet. Correct an image, or mark one as reviewed."


@dataclass(frozen=True)
class Source:
    """A model to predict with or to start from: its name here, its file and its card."""

    name: str
    path: Path
    card: ModelCard


def source(project: Project, name: str | None = None) -> Source | None:
    """Give the named model, else the active one, else the shipped one for the classes, else None."""
    record = project.active_model()
    if name is not None and (record is None or record.id != name):
        record = next((each for each in project.models() if each.id == name), None)
    if record is not None:
        return Source(record.id, record.path, record.card)
    if name is not None:
        path = catalog.resolve_model(name, project)
        return _source(name, path)
    entry = catalog.shipped_for(project.classes)
    return None if entry is None else _source(entry.name, Path(entry.path))


def predict(
    project: Project,
    warm: Warm,
    sample: Sample,
    heads: tuple[int, ...] | None,
    model: str | None,
    report: Report,
) -> Prediction:
    """Predict a sample and keep the result in the project.

    Raises
    ------
    UserError
        When there is no model, or it cannot be used on this image.
    """
    chosen = source(project, model)
    if chosen is None:
        raise UserError(NO_MODEL)
    pixels = project.image(sample.id).pixels
    made = warm.predict(chosen.path, sample.content_hash, pixels, heads, report)
    prediction = replace(made, model_id=chosen.name)
    project.save_prediction(sample.id, prediction)
    return prediction


def attention_config(project: Project, start: Source | None) -> AttentionConfig:
    """Give the project's own choice of maps, else the choice of the model in use."""
    default = start.card.attention if start is not None else None
    return project.settings.config("attention", default or AttentionConfig())


def training_images(
    project: Project, warm: Warm, config: AttentionConfig | None, report: Report
) -> list[TrainingImage]:
    """Gather what can be learned from, with its attention maps where `config` asks for them."""
    from napari_diamant.engine.dataset import TrainingImage

    samples = project.samples()
    images = []
    for number, sample in enumerate(samples):
        labels = labels_to_learn(project, sample)
        if labels is None:
            continue
        report(Progress(f"Preparing {sample.name}", number, len(samples)))
        pixels = project.image(sample.id).pixels
        maps: AttentionMaps | None = None
        if config is not None:
            maps = warm.maps(sample.content_hash, pixels, config)
        images.append(TrainingImage(sample.name, sample.content_hash, pixels, labels, maps))
    return images


def fine_tune(project: Project, warm: Warm, config: TrainConfig, restart: bool, report: Report) -> JSON:
    """Fit the model in use, or a new one, to the corrections; promote the result when it is no worse.

    A killed fit is continued by the next call, as long as neither corrections nor settings have changed.

    Returns
    -------
    JSON
        ``model``, ``before`` and ``after`` (mean Dice on the held-out part, None where not known),
        ``scores``, ``held_out``, ``promoted``, ``started_from``, ``images``, ``seconds``, ``backbone``,
        ``trained``.

    Raises
    ------
    UserError
        When nothing has been corrected, or another fit of this project is running.
    """
    from napari_diamant.engine.train import fit

    folder = project.folder / "fit"
    with _only_one(project.folder):
        if restart:
            shutil.rmtree(folder, ignore_errors=True)
        start = _start(project)
        attention = attention_config(project, start)
        model = _model_config(project, start, attention, warm)
        used = attention if model.uses_maps else None
        images = training_images(project, warm, used, report)
        if not images:
            raise UserError(NOTHING_TO_LEARN)
        result = fit(
            images,
            model,
            config,
            folder / "model.safetensors",
            attention=used,
            init=None if start is None else start.path,
            resume=True,
            report=report,
        )
        answer = _settle(project, result, None if start is None else start.name)
        shutil.rmtree(folder, ignore_errors=True)
    maps = images[0].maps
    about = {} if maps is None else {"backbone": maps.backbone, "trained": maps.trained}
    return {**answer, "images": len(images), **about}


def _settle(project: Project, result: FitResult, start: str | None) -> JSON:
    record = project.register_model(result.path, result.card, result.before, result.after or None)
    before = None if result.before is None else result.before.get("dice")
    after = result.after.get("dice")
    # Without a score on either side there is nothing that speaks against the new model.
    promoted = before is None or after is None or after >= before
    if promoted:
        project.activate(record.id)
    return {
        "model": record.id,
        "before": before,
        "after": after,
        "scores": {"before": result.before, "after": result.after},
        "held_out": result.held_out,
        "promoted": promoted,
        "started_from": start,
        "seconds": round(result.seconds, 1),
    }


def _start(project: Project) -> Source | None:
    """Give the model to start from, unless the project has chosen other maps since it was trained."""
    start = source(project)
    if start is None or "attention" not in project.settings or not start.card.model.uses_maps:
        return start
    return start if start.card.attention == attention_config(project, start) else None


def _model_config(
    project: Project, start: Source | None, attention: AttentionConfig, warm: Warm
) -> ModelConfig:
    if start is not None:
        return start.card.model.model_copy(update={"classes": project.classes})
    chosen = project.settings.config("model", ModelConfig())
    heads = warm.backbone(attention.backbone).heads if chosen.uses_maps else chosen.maps
    return chosen.model_copy(update={"classes": project.classes, "maps": heads})


def _source(name: str, path: Path) -> Source:
    card = catalog.read_card(path)
    if card is None:
        raise UserError(
            f"{path} is no model of this program. Give a .safetensors file that `train` has written."
        )
    return Source(name, path, card)


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Keep a second fit away; the lock ends with its process, however that ends."""
    connection = sqlite3.connect(folder / "fit.lock", timeout=0, isolation_level=None)
    try:
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise UserError(
                "A fine-tune of this project is running already. Wait for it to end, or cancel it."
            ) from error
        yield
    finally:
        connection.close()
