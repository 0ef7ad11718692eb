"""The verbs' options; those that set a field of a configuration take their type and default from it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import typer

from napari_diamant.config import AttentionConfig, BackboneConfig, Config, ModelConfig, TrainConfig

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per line, for programs.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
Images = Annotated[list[Path], typer.Argument(help="Image files, or folders of them.", metavar="IMAGE…")]
OutFolder = Annotated[Path, typer.Option("--out", help="Folder for the results, made when it is not there.")]
Model = Annotated[str, typer.Option("--model", help="A model file, or a name that `models` lists.")]
ProjectFolder = Annotated[Path, typer.Argument(help="Folder of the project.", metavar="PROJECT")]

Chosen = Mapping[str, Any]
"""Option name to what the user gave; None where nothing was given."""
Settings = TypeVar("Settings", bound=Config)
Verb = TypeVar("Verb", bound=Callable[..., None])


@dataclass(frozen=True)
class Choice:
    """An option that sets one field of a configuration.

    Attributes
    ----------
    config, field
        Where the value goes; the type and the default come from there.
    help
        One line for people.
    name
        Name of the option where it differs from the field's.
    """

    config: type[Config]
    field: str
    help: str
    name: str = ""

    @property
    def keyword(self) -> str:
        """Name of the verb's parameter."""
        return self.name or self.field

    def parameter(self) -> inspect.Parameter:
        """Describe the option to typer."""
        info = self.config.model_fields[self.field]
        default = ",".join(info.default) if isinstance(info.default, tuple) else info.default
        text = self.help if default is None else f"{self.help} [default: {default}]"
        option = typer.Option(f"--{self.keyword.replace('_', '-')}", help=text, show_default=False)
        kind: Any = Annotated[_word(info.annotation) | None, option]
        return inspect.Parameter(self.keyword, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)


def _word(annotation: Any) -> Any:
    """Give what typer makes of the word: a number, one of a list, or text that the configuration reads."""
    kinds = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    kinds = tuple(kind for kind in kinds if kind is not NoneType)
    if len(kinds) == 1 and (kinds[0] in (int, float) or get_origin(kinds[0]) is Literal):
        return kinds[0]
    return str


ATTENTION = (
    Choice(BackboneConfig, "name", "Vision transformer for the maps; `models` lists them.", "backbone"),
    Choice(BackboneConfig, "weights", "Its weights: a .safetensors or .pth file, or `random`."),
    Choice(AttentionConfig, "block", "Transformer block that is read; negative counts from the end."),
    Choice(AttentionConfig, "size", "native, or the pixels that the shorter side is resized to."),
    Choice(AttentionConfig, "channels", "Channels that become red, green and blue, as 0,1,2."),
)
"""Options of every verb that computes attention maps."""

MAPS = (
    Choice(AttentionConfig, "scaling", "How each head is brought to [0, 1] for the network."),
    Choice(AttentionConfig, "upsampling", "How maps get from patches to pixels."),
)
"""How maps are handed to a network."""

NETWORK = (
    Choice(ModelConfig, "arch", "Architecture of the network."),
    Choice(ModelConfig, "classes", "Names of the classes by label, background first."),
    Choice(ModelConfig, "image_channels", "Channels of the image that the network takes."),
    Choice(ModelConfig, "width", "Channels of the first level."),
    Choice(ModelConfig, "depth", "Levels above the bottleneck."),
    Choice(ModelConfig, "norm", "Normalisation after each convolution."),
    Choice(ModelConfig, "fusion", "diamant: where both encoders meet."),
    Choice(ModelConfig, "unet_input", "unet: what its encoder sees."),
    Choice(ModelConfig, "second_input", "diamant: what its second encoder sees; `image` is a control."),
    Choice(ModelConfig, "map_control", "Control that spoils the maps on purpose."),
    Choice(ModelConfig, "head_dropout", "Probability with which a head is left out of a training step."),
)
"""Fields of a network."""

BUDGET = (
    Choice(TrainConfig, "epochs", "End after so many epochs."),
    Choice(TrainConfig, "minutes", "End after so many minutes."),
)
"""How long a fit lasts: whichever comes first."""

FIT = (
    *BUDGET,
    Choice(TrainConfig, "seed", "Seed of the split, the crops, the augmentation and new weights."),
    Choice(TrainConfig, "steps_per_epoch", "Optimiser steps per epoch; else one pass, at least 25."),
    Choice(TrainConfig, "batch_size", "Crops per step."),
    Choice(TrainConfig, "crop", "Side of a crop in pixels."),
    Choice(TrainConfig, "learning_rate", "Highest rate of the cosine schedule."),
    Choice(TrainConfig, "weight_decay", "Weight decay of AdamW."),
    Choice(TrainConfig, "dice_weight", "Share of soft Dice in the loss; the rest is cross-entropy."),
    Choice(TrainConfig, "augment", "Strength of the paired augmentation."),
    Choice(TrainConfig, "val_fraction", "Share that is held out and never learned from."),
    Choice(TrainConfig, "patience", "Stop after so many epochs without a better held-out Dice."),
    Choice(TrainConfig, "precision", "auto takes bf16 where the hardware has it."),
    Choice(TrainConfig, "device", "auto, cpu, cuda, cuda:1 or mps."),
)
"""Fields of a fit."""


def takes(*choices: Choice) -> Callable[[Verb], Verb]:
    """Give a verb that ends in ``**chosen`` one option per choice.

    typer reads a function's signature: writing the fields out by hand would state types and defaults twice.
    """

    def decorate(verb: Verb) -> Verb:
        signature = inspect.signature(verb, eval_str=True)
        own = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
        parameters = own + [choice.parameter() for choice in choices]
        # Keywords may stand in any order for a caller, and typer shows them in this one.
        verb.__signature__ = signature.replace(parameters=_as_keywords(parameters))  # type: ignore[attr-defined]
        verb.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": None}
        return verb

    return decorate


def _as_keywords(parameters: list[inspect.Parameter]) -> list[inspect.Parameter]:
    return [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]


def fields_of(config: type[Config], choices: tuple[Choice, ...], chosen: Chosen) -> dict[str, Any]:
    """Collect the given values of one configuration's fields; lists are written with commas."""
    given = {}
    for choice in choices:
        value = chosen.get(choice.keyword)
        if choice.config is config and value is not None:
            listed = get_origin(_first(config.model_fields[choice.field].annotation)) is tuple
            given[choice.field] = tuple(part.strip() for part in value.split(",")) if listed else value
    return given


def _first(annotation: Any) -> Any:
    return get_args(annotation)[0] if isinstance(annotation, UnionType) else annotation


def settings(config: type[Settings], choices: tuple[Choice, ...], chosen: Chosen, **more: Any) -> Settings:
    """Build one configuration from the options.

    Raises
    ------
    pydantic.ValidationError
        A value does not fit; the command line says so and exits with 2.
    """
    return config.model_validate({**more, **fields_of(config, choices, chosen)})


def attention_settings(chosen: Chosen) -> AttentionConfig:
    """Build the configuration of the maps from the options."""
    backbone = settings(BackboneConfig, ATTENTION, chosen)
    return settings(AttentionConfig, ATTENTION + MAPS, chosen, backbone=backbone)


def head_list(text: str | None) -> list[int] | None:
    """Read ``0,2,5``; None, all heads, where nothing is given."""
    if text is None:
        return None
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"--heads takes numbers with commas, as 0,2,5, got {text!r}") from None
