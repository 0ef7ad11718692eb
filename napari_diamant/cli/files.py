"""The verbs that work on files, without a project: attend, predict, train, evaluate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from napari_diamant.cli.options import (
    ATTENTION,
    FIT,
    MAPS,
    NETWORK,
    Device,
    Images,
    Json,
    Model,
    OutFolder,
    attention_settings,
    head_list,
    settings,
    takes,
)
from napari_diamant.cli.output import Output, output
from napari_diamant.cli.scoring import score_masks
from napari_diamant.cli.tables import score_tables, sentence_of_fit
from napari_diamant.config import ModelConfig, TrainConfig
from napari_diamant.errors import UserError
from napari_diamant.types import JSON, Report

DEFAULT_MINUTES = 10.0
"""How long `train` lasts when neither epochs nor minutes are given."""

Folder = Annotated[Path, typer.Option(help="Folder of images.")]
MaskFolder = Annotated[Path, typer.Option("--masks", help="Folder of masks, paired with the images by stem.")]


@takes(*ATTENTION)
def attend(
    images: Images, out: OutFolder, device: Device = "auto", as_json: Json = False, **chosen: Any
) -> None:
    """Write the attention heads of images.

    OME-TIFF (head, rows, columns) float32, one file per image, one cell per patch.
    """
    config = attention_settings(chosen)
    with output(as_json) as to:
        from napari_diamant.project import verbs

        results = verbs.attend_files(expand(images), out, config, device=device, report=to.report)
        finish_batch(to, "attend", results)


def predict(
    images: Images,
    model: Model,
    out: OutFolder,
    heads: Annotated[
        str | None, typer.Option(help="Heads that are left on, counted from 0, as 0,2,5.")
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Write (class, Y, X) float32 as well.")
    ] = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Write the masks of images.

    OME-TIFF of the image's size; label 0 is the background.
    """
    chosen_heads = head_list(heads)
    with output(as_json) as to:
        from napari_diamant.project import catalog, verbs

        path = catalog.resolve_model(model)
        results = verbs.predict_files(
            expand(images),
            path,
            out,
            heads=chosen_heads,
            probabilities=probabilities,
            device=device,
            report=to.report,
        )
        finish_batch(to, "predict", results, model=str(path))


@takes(*NETWORK, *FIT, *ATTENTION, *MAPS)
def train(
    images: Folder,
    masks: MaskFolder,
    out: Annotated[Path, typer.Option(help="The model's file, .safetensors.")],
    init: Annotated[
        str | None, typer.Option(help="Start from this model: a file, or a name that `models` lists.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a fit that was ended midway.")] = False,
    as_json: Json = False,
    **chosen: Any,
) -> None:
    """Train a network on images and masks.

    It ends after 10 minutes when neither epochs nor minutes are given.
    """
    attention = attention_settings(chosen)
    network = settings(ModelConfig, NETWORK, chosen)
    budget = {} if chosen.get("epochs") else {"minutes": DEFAULT_MINUTES}
    config = settings(TrainConfig, FIT, chosen, **budget)
    with output(as_json) as to:
        from napari_diamant.project import catalog, verbs

        start = catalog.resolve_model(init) if init is not None else None
        result = verbs.train_folder(
            images,
            masks,
            out,
            network,
            config,
            attention=attention,
            init=start,
            resume=resume,
            report=to.report,
        )
        warn_of_random_weights(to, [result])
        to.result({"verb": "train", **result}, sentence_of_fit(result))


def evaluate(
    images: Folder,
    masks: MaskFolder,
    model: Annotated[str | None, typer.Option(help="A model file, or a name that `models` lists.")] = None,
    predictions: Annotated[Path | None, typer.Option(help="Score these masks instead of a model's.")] = None,
    classes: Annotated[
        str, typer.Option(help="Names of the classes by label, for --predictions.")
    ] = "background,foreground",
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Score a model, or masks, against true masks.

    Dice, IoU, HD95 and NSD at the images' own resolution, with intervals over the images.
    """
    with output(as_json) as to:
        if model is not None and predictions is None:
            result = _score_model(images, masks, model, device, to.report)
        elif predictions is not None and model is None:
            result = score_masks(images, masks, predictions, classes.split(","), to.report)
        else:
            raise typer.BadParameter("evaluate takes either --model or --predictions")
        warn_of_random_weights(to, [result])
        to.result({"verb": "evaluate", **result}, *score_tables(result))


def _score_model(images: Path, masks: Path, model: str, device: str, report: Report) -> JSON:
    from napari_diamant.project import catalog, verbs

    return verbs.evaluate_folder(images, masks, catalog.resolve_model(model), device=device, report=report)


def expand(paths: Sequence[Path]) -> list[Path]:
    """Replace each folder by the images in it; one that ends in a suffix (OME-Zarr) is an image itself."""
    from napari_diamant.io import list_images

    found: list[Path] = []
    for path in paths:
        found += list_images(path) if path.is_dir() and not path.suffix else [path]
    return found


def finish_batch(to: Output, verb: str, results: Sequence[JSON], **more: Any) -> None:
    """Say what was written and what failed; a batch with a bad file ends with exit code 1.

    Raises
    ------
    UserError
        The only file of the batch is bad.
    """
    bad = [result for result in results if "error" in result]
    if bad and len(results) == 1:
        raise UserError(str(bad[0]["error"]))
    warn_of_random_weights(to, results)
    for result in bad:
        to.warn(f"{result['image']}: {result['error']}")
    fields = {"verb": verb, "results": results, "failed": len(bad), **more, **_whole_batch(results)}
    lines = [str(result["output"]) for result in results if "output" in result]
    if bad:
        lines.append(f"{len(bad)} of {len(results)} images failed.")
    to.result(fields, *lines)
    if bad:
        raise typer.Exit(1)


def warn_of_random_weights(to: Output, results: Sequence[JSON]) -> None:
    """Say once and loudly that maps come from a transformer that has learned nothing."""
    for result in results:
        if result.get("trained") is False:
            words = result.get("backbone", "RANDOM weights")
            to.warn(f"{words}. These attention maps show the image, not what a network has learned.")
            return


def _whole_batch(results: Sequence[JSON]) -> JSON:
    """Lift what is the same for all images."""
    good = next((result for result in results if "error" not in result), {})
    return {key: good[key] for key in ("trained", "backbone", "device") if key in good}
