"""One fit, of `train` and of `fine-tune` alike: from labelled images to a checkpoint and its scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import torch

from napari_diamant.config import AttentionConfig, ModelCard, ModelConfig, TrainConfig
from napari_diamant.engine import checkpoint
from napari_diamant.engine.augment import STRENGTHS, Augment
from napari_diamant.engine.dataset import CropSampler, TrainingImage, borrow_maps, prepare
from napari_diamant.engine.device import choose_device
from napari_diamant.engine.loop import Loop
from napari_diamant.engine.resume import State, fingerprint, load_state, save_state, state_path
from napari_diamant.engine.split import Split, split
from napari_diamant.engine.step import Stepper, accelerator_for
from napari_diamant.engine.transfer import Start, start
from napari_diamant.engine.validation import FINAL_PIXELS, HeldOut
from napari_diamant.errors import UserError
from napari_diamant.types import IGNORED, JSON, Progress, Report, silent

__all__ = ["FitResult", "TrainingImage", "fit"]


@dataclass(frozen=True, eq=False)
class FitResult:
    """What a fit leaves behind.

    Attributes
    ----------
    path, card
        The checkpoint, and the card inside it.
    before, after
        Held-out scores of the model it started from (None without one) and of the result: ``dice`` (mean over
        the foreground classes), ``dice <class>``, ``loss``; empty when nothing was held out.
    held_out
        What was held out, in words.
    history
        One object per epoch: ``epoch``, ``loss``, ``val_loss``, ``val_dice``, ``images_per_second``.
    seconds
        Time the fit took, over all processes that worked on it.
    """

    path: Path
    card: ModelCard
    before: dict[str, float] | None
    after: dict[str, float]
    held_out: str
    history: list[JSON]
    seconds: float


def fit(
    images: Sequence[TrainingImage],
    model: ModelConfig,
    config: TrainConfig,
    out: Path,
    *,
    attention: AttentionConfig | None = None,
    init: Path | None = None,
    resume: bool = False,
    report: Report = silent,
) -> FitResult:
    """Train a network on labelled images and write its checkpoint.

    The frozen transformer is never run: its maps come with the images. After epochs the state is written
    beside `out`; it is deleted when the checkpoint is there. The same seed gives the same weights on a CPU in
    float32, also when the fit was killed and continued, as long as epochs and not minutes end it.

    Parameters
    ----------
    images
        What may be learned from; images without any labelled pixel are passed over.
    model
        The network.
    config
        The recipe.
    out
        A ``.safetensors`` file.
    attention
        How the maps were computed; None for networks that take none.
    init
        A checkpoint to start from; weights that do not fit are drawn anew.
    resume
        Go on where a killed fit of the same task stopped.
    report
        Gets the news.

    Raises
    ------
    UserError
        When there is nothing to learn from, or images, labels, maps and network do not fit together.
    """
    images = _usable(images, model, config)
    with _own_chance(choose_device(config.device)):
        beginning = start(model, config.seed, init)
        parts = _parts(images, model, config, attention, beginning)
        loop = _loop(beginning, parts, model, config, report)
        mark = fingerprint(images, (model, config, attention), beginning.parent)
        _begin(loop, beginning, load_state(state_path(out), mark) if resume else None)
        loop.run(lambda state: save_state(state_path(out), state, mark))
        after = loop.finish()
    card = _card(parts, (model, config, attention), beginning, (loop.moment.before, after))
    checkpoint.save(out, loop.stepper.bare, card)
    state_path(out).unlink(missing_ok=True)
    before, history = loop.moment.before, loop.moment.history
    return FitResult(out, card, before, after or {}, parts.words, history, loop.elapsed)


def _usable(images: Sequence[TrainingImage], model: ModelConfig, config: TrainConfig) -> list[TrainingImage]:
    """Leave out images without labels, and refuse what cannot be learned from."""
    multiple = model.size_multiple
    if config.crop % multiple or config.crop < 2 * multiple:
        fitting = max(2 * multiple, config.crop // multiple * multiple)
        raise UserError(
            f"The crop must be a multiple of {multiple} and at least {2 * multiple}, got {config.crop}. "
            f"Take {fitting}."
        )
    usable = [image for image in images if (image.labels != IGNORED).any()]
    if not usable:
        raise UserError(
            "There must be labelled pixels to learn from, got none. "
            "Correct a mask, or mark an image as reviewed."
        )
    present = {int(label) for image in usable for label in np.unique(image.labels) if label != IGNORED}
    if len(present) == 1:
        label = present.pop()
        name = model.classes[label] if 0 <= label < len(model.classes) else str(label)
        raise UserError(
            f"There must be pixels of two classes or more to learn from, got {name!r} alone. "
            "Correct some of another class as well."
        )
    return usable


@contextmanager
def _own_chance(device: torch.device) -> Iterator[None]:
    """Leave the process's random numbers as they were; those of a fit follow from its seed."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield


def _parts(
    images: Sequence[TrainingImage],
    model: ModelConfig,
    config: TrainConfig,
    attention: AttentionConfig | None,
    beginning: Start,
) -> Split:
    """Bring the images to the network's range and hold a part of them out."""
    known = frozenset(beginning.card.learned_from if beginning.card else ())
    prepared = [prepare(image, model, attention) for image in images]
    parts = split(prepared, config.val_fraction, config.seed, known)
    if model.map_control == "shuffled":
        # In training the network shuffles within the batch; held-out images come one by one.
        parts = replace(parts, held=tuple(borrow_maps(parts.held)))
    return parts


def _loop(beginning: Start, parts: Split, model: ModelConfig, config: TrainConfig, report: Report) -> Loop:
    """Put the parts of a fit together."""
    augment = Augment(STRENGTHS[config.augment], config.crop)
    accelerator = accelerator_for(config.device, config.precision)
    return Loop(
        Stepper(beginning.network, config, augment, accelerator),
        config,
        CropSampler(parts.learned, config.crop, augment.window, config.seed),
        HeldOut(parts.held, parts.whole, model, config.dice_weight),
        report,
    )


def _begin(loop: Loop, beginning: Start, state: State | None) -> None:
    """Continue from the state, or score the starting model and say what of it was taken over."""
    if state is not None:
        loop.load(state)
        loop.report(Progress(f"Continued after epoch {loop.moment.epoch}"))
        return
    if beginning.renewed:
        names = ", ".join(beginning.renewed)
        loop.report(Progress(f"Drawn anew, because the starting model's did not fit: {names}"))
    elif beginning.card is not None:
        before = loop.score(FINAL_PIXELS)
        loop.moment.before = before.as_dict() if before else None


def _card(
    parts: Split,
    configs: tuple[ModelConfig, TrainConfig, AttentionConfig | None],
    beginning: Start,
    scores: tuple[dict[str, float] | None, dict[str, float] | None],
) -> ModelCard:
    """Describe the result: where it comes from, what it has learned from, how good it is.

    What the starting model had learned from counts too, so that no later fit takes it for held out.
    """
    model, config, attention = configs
    before, after = scores
    earlier = beginning.card.learned_from if beginning.card else ()
    maps = parts.learned[0].maps
    return ModelCard(
        model=model,
        attention=attention if maps is not None else None,
        train=config,
        backbone_hash=maps.weights_hash if maps is not None else None,
        parent=beginning.parent,
        learned_from=tuple(sorted({*earlier, *(image.content_hash for image in parts.learned)})),
        held_out=tuple(sorted({image.content_hash for image in parts.held})) if parts.whole else (),
        scores={
            **(after or {}),
            **{f"before {name}": value for name, value in (before or {}).items()},
        },
        versions=_versions(),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _versions() -> dict[str, str]:
    """Give the versions of this program, torch and timm, of those that are installed."""
    found = {}
    for name in ("napari-diamant", "torch", "timm"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found
