"""A model is one safetensors file: the weights, and the card that rebuilds the network, and no code."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise
from torch import Tensor, nn

from napari_diamant.config import ModelCard
from napari_diamant.errors import UserError
from napari_diamant.io.atomic import atomic
from napari_diamant.models.build import build_network

CARD = "card"
"""Key of the model card in the safetensors metadata."""

FORMAT = 1
"""Newest format of the card that this program reads."""


def save(path: Path, network: nn.Module, card: ModelCard, *, half: bool = False) -> None:
    """Write a network and its card, whole or not at all.

    The card lies inside the file and, for people, beside it as ``FILE.json``; only the one inside is read.

    Parameters
    ----------
    path
        A ``.safetensors`` file.
    network
        What `napari_diamant.models.build.build_network` made of ``card.model``.
    card
        The model's description.
    half
        Store 16-bit floats, for models that are handed out: half the size, three significant digits.

    Raises
    ------
    UserError
        When the file cannot be written.
    """
    path = Path(path)
    tensors = {name: _stored(tensor, half) for name, tensor in network.state_dict().items()}
    with atomic(path) as temporary:
        temporary.write_bytes(serialise(tensors, metadata={CARD: card.model_dump_json()}))
    with atomic(path.with_suffix(".json")) as temporary:
        temporary.write_text(card.model_dump_json(indent=2) + "\n", encoding="utf-8")


def load(path: Path, device: torch.device | str = "cpu") -> tuple[nn.Module, ModelCard]:
    """Rebuild a network from its file alone, in float32 and ready to predict.

    The network is laid out without memory first and the file's tensors take their places, so a card that
    promises more than the file holds is refused before anything is allocated.

    Parameters
    ----------
    path
        A file written by `save`.
    device
        Where the network is to be.

    Returns
    -------
    network, card
        The network is in evaluation mode.

    Raises
    ------
    UserError
        When the file is missing, damaged, or not a model of this program.
    """
    card = read_card(path)
    tensors = {name: _computed(tensor) for name, tensor in _tensors(path).items()}
    try:
        with torch.device("meta"):
            network = build_network(card.model)
        network.load_state_dict(tensors, assign=True)
    except (RuntimeError, MemoryError) as fault:
        raise UserError(
            f"The weights must fit the network that their card describes, got {path} where they do not. "
            "Get the file again."
        ) from fault
    return network.to(device).eval(), card


def read_card(path: Path) -> ModelCard:
    """Read a model's card without its weights.

    Raises
    ------
    UserError
        When the file is missing, damaged, or not a model of this program.
    """
    path = Path(path)
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(CARD)
    except (SafetensorError, OSError) as fault:
        raise _unreadable(path) from fault
    if text is None:
        raise UserError(
            f"A model must hold its card, got {path} without one. Choose one this program trained."
        )
    try:
        card = ModelCard.model_validate_json(text)
    except ValidationError as fault:
        first = fault.errors()[0]
        raise _foreign_card(path, f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from fault
    if card.format > FORMAT:
        raise _foreign_card(path, f"format {card.format}")
    return card


def identity(source: Path | nn.Module) -> str:
    """Compute the SHA-256 of a model's weights, independent of its card and of where it lies.

    Names, shapes and values count, in float32 as the network computes with them, so a file and the network
    loaded from it have the same identity.

    Parameters
    ----------
    source
        A file written by `save`, or a network.

    Raises
    ------
    UserError
        When the file is missing or damaged.
    """
    tensors = source.state_dict() if isinstance(source, nn.Module) else _tensors(source)
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = _computed(tensors[name].detach().cpu())
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _tensors(path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (not a dict)
    except (SafetensorError, OSError) as fault:
        raise _unreadable(Path(path)) from fault


def _stored(tensor: Tensor, half: bool) -> Tensor:
    """Give a tensor as it goes to the disk: on the CPU, in rows, 16-bit where asked for and where it fits."""
    tensor = tensor.detach().cpu().contiguous()
    if not half or not tensor.is_floating_point():
        return tensor
    halved = tensor.half()
    return halved if bool(halved.isfinite().all()) else tensor


def _computed(tensor: Tensor) -> Tensor:
    """Give a tensor as the network computes with it: floats of any width as float32."""
    return tensor.float() if tensor.is_floating_point() else tensor


def _foreign_card(path: Path, what: str) -> UserError:
    return UserError(
        f"A model's card must be of format {FORMAT} or older, got {path} with {what}. "
        "Update this program, or choose another model."
    )


def _unreadable(path: Path) -> UserError:
    if not path.exists():
        return UserError(f"A model must be an existing file, got {path}. Check the name.")
    return UserError(
        f"A model must be a whole safetensors file of this program, got {path}, which is damaged or not one. "
        "Get the file again, or choose another."
    )
