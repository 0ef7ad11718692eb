"""What can be chosen by name: transformers, architectures, shipped models, models of a project, files."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from napari_diamant.config import ModelCard, ModelConfig
from napari_diamant.errors import UserError

if TYPE_CHECKING:
    from napari_diamant.models.backbone_specs import BackboneSpec
    from napari_diamant.project.project import Project

_NOT_LEARNED = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class BackboneEntry:
    """A frozen vision transformer that can be named; `opt_in` has a licence to be accepted first."""

    name: str
    title: str
    patch: int
    heads: int
    parameters: int
    licence: str
    opt_in: bool
    download_mb: int


@dataclass(frozen=True)
class ArchitectureEntry:
    """A trainable architecture, counted at its default configuration."""

    name: str
    parameters: int


@dataclass(frozen=True)
class ModelEntry:
    """A trained model; `origin` is ``"shipped"`` or ``"project"``, `heads` the maps it takes, 0 for none."""

    name: str
    origin: str
    arch: str
    classes: tuple[str, ...]
    heads: int
    parameters: int
    path: str
    active: bool = False


def weights_folder() -> Path:
    """Give the folder of the models that come with the program."""
    return Path(__file__).resolve().parent.parent / "weights"


def list_models(project: Project | None = None) -> list[ModelEntry]:
    """List the shipped models, and those of a project; imports no torch."""
    entries = []
    for path in sorted(weights_folder().glob("*.safetensors")):
        card = read_card(path)
        if card is not None:
            entries.append(_entry(path.stem, "shipped", card, path, False))
    for record in [] if project is None else project.models():
        if record.path.is_file():
            entries.append(_entry(record.id, "project", record.card, record.path, record.active))
    return entries


def list_backbones() -> list[BackboneEntry]:
    """List the vision transformers; imports torch to count their parameters."""
    from napari_diamant.models.backbone_specs import BACKBONES

    return [
        BackboneEntry(
            name,
            spec.title,
            spec.patch,
            spec.heads,
            _count(spec),
            spec.licence,
            spec.opt_in,
            spec.download_mb,
        )
        for name, spec in BACKBONES.items()
    ]


def backbone_titles() -> dict[str, str]:
    """Give the vision transformers that can be chosen and what they are called; imports no torch."""
    from napari_diamant.models.backbone_specs import BACKBONES

    return {
        name: f"{spec.title} ({spec.download_mb} MB{', own licence' if spec.opt_in else ''})"
        if spec.timm_name
        else spec.title
        for name, spec in BACKBONES.items()
    }


def list_architectures() -> list[ArchitectureEntry]:
    """List the networks that `train` can build; imports torch to count their parameters."""
    from napari_diamant.models import NETWORKS
    from napari_diamant.models.build import parameters

    configs = [ModelConfig.model_validate({"arch": name}) for name in NETWORKS]
    return [ArchitectureEntry(config.arch, parameters(config)) for config in configs]


def resolve_model(name: str | Path, project: Project | None = None) -> Path:
    """Give the file of a model: one of the project, a shipped one, or a path.

    Raises
    ------
    UserError
        When it is none of these.
    """
    known = {entry.name: Path(entry.path) for entry in list_models(project)}
    if str(name) in known:
        return known[str(name)]
    path = Path(name).expanduser()
    if path.is_file():
        return path
    names = ", ".join(known) or "none here"
    raise UserError(f"A model must be a file or one of the listed names ({names}), got {name}.")


def shipped_for(classes: tuple[str, ...]) -> ModelEntry | None:
    """Give the shipped model for these classes: of the same names, else of the same number, else None."""
    fitting = [entry for entry in list_models() if len(entry.classes) == len(classes)]
    fitting.sort(key=lambda entry: entry.classes != classes)
    return fitting[0] if fitting else None


def read_card(path: Path) -> ModelCard | None:
    """Read a model's card without torch; None for a file that is no model of this program."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return ModelCard.model_validate_json((file.metadata() or {}).get("card", ""))
    except (SafetensorError, OSError, ValidationError):
        return None


def _entry(name: str, origin: str, card: ModelCard, path: Path, active: bool) -> ModelEntry:
    heads = card.model.maps if card.model.uses_maps else 0
    return ModelEntry(
        name, origin, card.model.arch, card.model.classes, heads, _stored(path), str(path), active
    )


def _stored(path: Path) -> int:
    """Count the learned numbers in a file from its header alone."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        learned = [name for name in file.keys() if not name.endswith(_NOT_LEARNED)]  # noqa: SIM118 (not a dict)
        return sum(math.prod(file.get_slice(name).get_shape()) for name in learned)


def _count(spec: BackboneSpec) -> int:
    """Count a transformer's parameters on a device without memory."""
    import timm
    import torch
    from timm.models.vision_transformer import VisionTransformer

    with torch.device("meta"):
        if spec.timm_name is not None:
            network = timm.create_model(spec.timm_name, pretrained=False, num_classes=0)
        else:
            network = VisionTransformer(
                patch_size=spec.patch,
                embed_dim=spec.width,
                depth=spec.depth,
                num_heads=spec.heads,
                num_classes=0,
            )
    return sum(parameter.numel() for parameter in network.parameters())
