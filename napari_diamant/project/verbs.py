"""The verbs of the product on plain files, without a project."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_diamant.config import AttentionConfig, ModelCard, ModelConfig, TrainConfig
from napari_diamant.errors import UserError
from napari_diamant.io import (
    content_hash,
    pair_by_stem,
    read_image,
    read_labels,
    stem_of,
    write_labels,
    write_maps,
    write_probabilities,
)
from napari_diamant.io.atomic import require_writable
from napari_diamant.project.warm import Warm
from napari_diamant.types import JSON, Array, AttentionMaps, Image, Progress, Report, silent

if TYPE_CHECKING:
    from napari_diamant.engine.dataset import TrainingImage
    from napari_diamant.models.backbones import Backbone


def attend_files(
    images: Sequence[Path],
    out: Path,
    config: AttentionConfig,
    *,
    device: str = "auto",
    report: Report = silent,
) -> list[JSON]:
    """Write the attention maps of each image as ``STEM.ome.tif`` into `out`.

    Returns
    -------
    list of JSON
        Per image ``image``, ``output``, ``heads``, ``shape`` (of a map), ``scale``, ``backbone``,
        ``trained``, ``device``; ``image`` and ``error`` for one that cannot be used: a batch goes on.

    Raises
    ------
    UserError
        When the transformer cannot be had, two images would write the same file, or `out` cannot be written.
    """
    warm = Warm(device)
    backbone = warm.backbone(config.backbone)

    def attend(path: Path, output: Path, report: Report) -> JSON:
        image = read_image(path)
        maps = warm.maps("", image.pixels, config, report)
        write_maps(output, maps)
        shape, scale = list(maps.maps.shape[1:]), list(maps.scale)
        return {"heads": maps.heads, "shape": shape, "scale": scale, **_about(backbone, warm)}

    return _batch(images, out, attend, report)


def predict_files(
    images: Sequence[Path],
    model: Path,
    out: Path,
    *,
    heads: Sequence[int] | None = None,
    probabilities: bool = False,
    device: str = "auto",
    report: Report = silent,
) -> list[JSON]:
    """Write the mask of each image as ``STEM.ome.tif`` into `out`, of the image's size.

    With `probabilities` there is a ``STEM.probabilities.ome.tif`` as well.

    Returns
    -------
    list of JSON
        Per image ``image``, ``output``, ``model`` and the share of each class, or ``image`` and ``error``.

    Raises
    ------
    UserError
        When the model cannot be used, `out` cannot be written to, or two images would write the same file.
    """
    warm = Warm(device)
    _, card = warm.network(model)
    chosen = None if heads is None else tuple(heads)

    def predict(path: Path, output: Path, report: Report) -> JSON:
        image = read_image(path)
        made = warm.predict(model, "", image.pixels, chosen, report)
        result: JSON = {"model": made.model_id, "shares": _shares(made.labels, card.model.classes)}
        write_labels(output, made.labels, image)
        if probabilities and made.probabilities is not None:
            second = output.with_name(output.name.replace(".ome.tif", ".probabilities.ome.tif"))
            write_probabilities(second, made.probabilities, card.model.classes, image)
            result["probabilities"] = str(second)
        return {**result, **_weights(warm, card.attention if card.model.uses_maps else None)}

    return _batch(images, out, predict, report)


def train_folder(
    images: Path,
    masks: Path,
    out: Path,
    model: ModelConfig,
    config: TrainConfig,
    *,
    attention: AttentionConfig,
    init: Path | None = None,
    resume: bool = False,
    report: Report = silent,
) -> JSON:
    """Train a model on images and the masks of the same stems, and write it to `out`.

    The number of maps is that of the transformer, whatever `model` says.

    Returns
    -------
    JSON
        ``output``, ``before`` and ``after`` (mean held-out Dice, None where not known), ``scores``,
        ``held_out``, ``images``, ``epochs``, ``seconds``, ``backbone``, ``trained``, ``device``.

    Raises
    ------
    UserError
        When images and masks do not pair, `out` cannot be written to, or a pair is not usable: a training set
        has no bad files.
    """
    from napari_diamant.engine.train import fit

    pairs = pair_by_stem(images, masks)
    require_writable(out)
    warm = Warm(config.device)
    used = attention if model.uses_maps else None
    if used is not None:
        model = model.model_copy(update={"maps": warm.backbone(used.backbone).heads})
    lessons = list(_lessons(pairs, warm, used, report))
    result = fit(lessons, model, config, out, attention=used, init=init, resume=resume, report=report)
    return {
        "output": str(result.path),
        "before": None if result.before is None else result.before.get("dice"),
        "after": result.after.get("dice"),
        "scores": {"before": result.before, "after": result.after},
        "held_out": result.held_out,
        "images": len(lessons),
        "epochs": len(result.history),
        "seconds": round(result.seconds, 1),
        **_weights(warm, used),
    }


def evaluate_folder(
    images: Path, masks: Path, model: Path, *, device: str = "auto", report: Report = silent
) -> JSON:
    """Score a model's masks of images against the masks of the same stems, at the images' own resolution.

    Returns
    -------
    JSON
        The evaluation's own fields, with ``model``, ``backbone``, ``trained``, ``device``.

    Raises
    ------
    UserError
        When images and masks do not pair, or a pair is not usable: a score with images left out is none.
    """
    from napari_diamant.engine.evaluate import evaluate

    warm = Warm(device)
    _, card = warm.network(model)
    pairs = pair_by_stem(images, masks)
    evaluation = evaluate(_scored(pairs, warm, model, report), card.model.classes)
    about = _weights(warm, card.attention if card.model.uses_maps else None)
    return {**evaluation.as_json(), "model": str(model), **about}


def _batch(
    images: Sequence[Path], out: Path, work: Callable[[Path, Path, Report], JSON], report: Report
) -> list[JSON]:
    """Do the same with every image and go on after a bad one: a batch must not die on image 3 of 500."""
    counts = Counter(stem_of(path) for path in images)
    double = sorted(stem for stem, count in counts.items() if count > 1)
    if double:
        raise UserError(
            f"Outputs bear the stem of their image, got {len(double)} stems twice ({', '.join(double[:3])})."
            " Process these images in separate runs."
        )
    require_writable(out / "any.ome.tif")
    results: list[JSON] = []
    for number, path in enumerate(images):
        news = _within(path.name, number, len(images), report)
        news(Progress(""))
        output = out / f"{stem_of(path)}.ome.tif"
        try:
            _keep_original(path, output)
            results.append({"image": str(path), "output": str(output), **work(path, output, news)})
        except UserError as error:
            results.append({"image": str(path), "error": str(error)})
    report(Progress("done", len(images), len(images)))
    return results


def _within(name: str, number: int, total: int, report: Report) -> Report:
    """Tell the news of one image as news of the batch; a single image tells its own."""

    def tell(progress: Progress) -> None:
        if total == 1 and progress.total:
            report(progress)
        else:
            message = f"{name}: {progress.message}" if progress.message else name
            report(Progress(message, number, total, progress.values))

    return tell


def _keep_original(image: Path, output: Path) -> None:
    if output.exists() and output.samefile(image):
        raise UserError(f"The output would replace the image {image}. Choose another folder for outputs.")


def _lessons(
    pairs: Iterable[tuple[Path, Path]], warm: Warm, attention: AttentionConfig | None, report: Report
) -> Iterator[TrainingImage]:
    from napari_diamant.engine.dataset import TrainingImage

    pairs = list(pairs)
    for number, (path, mask) in enumerate(pairs):
        report(Progress(f"Preparing {path.name}", number, len(pairs)))
        image, labels = _read_pair(path, mask)
        maps = None if attention is None else warm.maps("", image.pixels, attention)
        content = content_hash(image.pixels)
        yield TrainingImage(stem_of(path), content, image.pixels, labels.astype("int16"), maps)


def _scored(
    pairs: Sequence[tuple[Path, Path]], warm: Warm, model: Path, report: Report
) -> Iterator[tuple[str, Array, Array, tuple[float, float]]]:
    _, card = warm.network(model)
    shuffled = card.model.uses_maps and card.model.map_control == "shuffled"
    for number, (path, mask) in enumerate(pairs):
        report(Progress(path.name, number, len(pairs)))
        image, truth = _read_pair(path, mask)
        if shuffled:
            maps = _borrowed_maps(pairs[(number + 1) % len(pairs)][0], image, warm, card)
            made = warm.predict_with(model, image.pixels, maps)
        else:
            made = warm.predict(model, "", image.pixels)
        yield stem_of(path), made.labels, truth, image.spacing


def _borrowed_maps(other: Path, image: Image, warm: Warm, card: ModelCard) -> AttentionMaps:
    """Give the maps of another image, laid on this one; UserError when there is no other."""
    if other == image.path:
        raise UserError("The control map_control 'shuffled' needs 2 images or more, got 1. Add images.")
    maps = warm.maps("", read_image(other).pixels, card.attention or AttentionConfig())
    return maps.stretched(image.shape)


def _read_pair(path: Path, mask: Path) -> tuple[Image, Array]:
    image, labels = read_image(path), read_labels(mask)
    if labels.shape != image.shape:
        raise UserError(
            f"A mask must have its image's size, got {labels.shape} in {mask} for {image.shape} in {path}."
            " Give the mask of this image."
        )
    return replace(image, path=path), labels


def _shares(labels: Array, classes: Sequence[str]) -> dict[str, float]:
    return {name: round(float((labels == index).mean()), 6) for index, name in enumerate(classes)}


def _weights(warm: Warm, attention: AttentionConfig | None) -> JSON:
    if attention is None:
        return {"device": warm.words()}
    return _about(warm.backbone(attention.backbone), warm)


def _about(backbone: Backbone, warm: Warm) -> JSON:
    return {"backbone": backbone.words, "trained": backbone.trained, "device": warm.words()}
