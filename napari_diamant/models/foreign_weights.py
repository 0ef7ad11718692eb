"""Weights from anyone's file: read without running code, unwrapped, their architecture told by shapes."""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from napari_diamant.errors import UserError
from napari_diamant.models.backbone_specs import BackboneSpec

UNREADABLE = (RuntimeError, OSError, EOFError, ValueError, TypeError, LookupError, AttributeError)
"""What torch raises, depending on where in a damaged file it stumbles."""

PATCHES = "patch_embed.proj.weight"
"""The one tensor that every vision transformer understood here has: where it lies, the others lie."""

REGISTERS = ("reg_token", "register_tokens", "storage_tokens")
"""Names of the register tokens in timm, DINOv2 and DINOv3."""


@dataclass(frozen=True, eq=False)
class ForeignWeights:
    """A state dict as it came, less wrappers and prefixes.

    Attributes
    ----------
    path
        The file.
    state
        Name to tensor.
    heads
        Attention heads if the file says so (metadata ``heads`` of a safetensors file): shapes do not tell.
    """

    path: Path
    state: dict[str, Tensor]
    heads: int | None = None

    @property
    def grid(self) -> int | None:
        """Side of the square of patches that the position embeddings were learned for, None without them."""
        if "pos_embed" not in self.state:
            return None
        # timm leaves the class token out where there are registers; squares never follow each other.
        count = self.state["pos_embed"].shape[1]
        return int(count**0.5) if int(count**0.5) ** 2 == count else round((count - 1) ** 0.5)

    def spec(self) -> BackboneSpec:
        """Read the architecture from the shapes; heads are taken as 64 wide unless the file says more."""
        width, _, patch, _ = self.state[PATCHES].shape
        depth = len({name.split(".")[1] for name in self.state if name.startswith("blocks.")})
        registers = next((self.state[name].shape[1] for name in REGISTERS if name in self.state), 0)
        return BackboneSpec(
            f"ViT, {width} wide, {depth} blocks, patch {patch}",
            patch=int(patch),
            heads=self.heads or max(1, width // 64),
            width=int(width),
            depth=depth,
            registers=int(registers),
            layer_scale=bool({"blocks.0.ls1.gamma", "blocks.0.gamma_1"} & set(self.state)),
            rotary="pos_embed" not in self.state,
        )


def read_weights(path: Path) -> ForeignWeights:
    """Read a ``.safetensors`` file, or a ``.pth`` file without running any code that it holds.

    Understood are plain state dicts and checkpoints that wrap one, as the published scripts of DINO,
    DINOv2 and timm write them; of a teacher and a student the teacher is taken.

    Raises
    ------
    UserError
        When the file is missing, unreadable, would run code, or holds no vision transformer.
    """
    if not path.is_file():
        raise UserError(f"There is no file of weights at {path}. Check the path.")
    heads = None
    if path.suffix == ".safetensors":
        content, heads = _read_safetensors(path)
    else:
        content = _read_pickle(path)
    tensors = dict(_tensors(content))
    homes = sorted(name.removesuffix(PATCHES) for name in tensors if f".{name}".endswith(f".{PATCHES}"))
    if not homes:
        raise UserError(
            f"{path.name} holds no vision transformer: it has no tensor named {PATCHES}. "
            "Give a DINO, DINOv2, DINOv3 or timm ViT checkpoint."
        )
    home = min(homes, key=lambda prefix: ("teacher" not in prefix, len(prefix)))
    state = {name.removeprefix(home): value for name, value in tensors.items() if name.startswith(home)}
    if state[PATCHES].ndim != 4 or state[PATCHES].shape[1] != 3:
        raise UserError(
            f"The first layer of {path.name} must be a convolution over 3 channels, "
            f"got weights of shape {tuple(state[PATCHES].shape)}. Give a transformer for RGB images."
        )
    return ForeignWeights(path, state, heads)


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], int | None]:
    try:
        with safe_open(path, framework="pt") as file:
            said = (file.metadata() or {}).get("heads", "")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path.name} is not a readable safetensors file. Fetch it again.") from error
    return tensors, int(said) if said.isdecimal() else None


def _read_pickle(path: Path) -> Any:
    try:
        # DINO's own training script stores its options beside the weights; a Namespace only holds values.
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path.name} was not opened: it is damaged, or holds more than tensors and could run code. "
            "Ask for a .safetensors file of the same weights."
        ) from error
    except UNREADABLE as error:
        raise UserError(f"{path.name} is not a readable PyTorch file. Fetch it again.") from error


def _tensors(content: Any, prefix: str = "") -> list[tuple[str, Tensor]]:
    """List every tensor in nested mappings, by its dotted name."""
    if isinstance(content, Tensor):
        return [(prefix, content)]
    if not isinstance(content, Mapping):
        return []
    return [
        found
        for name, value in content.items()
        for found in _tensors(value, f"{prefix}.{name}" if prefix else str(name))
    ]
