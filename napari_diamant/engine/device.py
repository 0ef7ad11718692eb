"""Which device computes, in which precision, and how to say so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from napari_diamant.errors import UserError


def choose_device(name: str = "auto") -> torch.device:
    """Take CUDA, then Apple's MPS, then the CPU; or the one that is named.

    Raises
    ------
    UserError
        When the named device is unknown or not there.
    """
    if name == "auto":
        return torch.device(next(kind for kind, there in _kinds().items() if there))
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or not _kinds().get(device.type, False) or not _has_index(device):
        there = ", ".join(kind for kind, found in _kinds().items() if found)
        raise UserError(f"There is no device {name!r} here. Choose auto or one of: {there}.")
    return device


def _kinds() -> dict[str, bool]:
    """Say which kinds of device are there, the fastest first."""
    return {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}


def _has_index(device: torch.device) -> bool:
    return device.type != "cuda" or (device.index or 0) < torch.cuda.device_count()


def precision(name: str, device: torch.device) -> torch.dtype:
    """Give the type for autocast: ``"auto"`` takes bf16 where the device multiplies matrices in it.

    Raises
    ------
    UserError
        When the name is not ``"auto"``, ``"float32"`` or ``"bf16"``.
    """
    if name not in ("auto", "float32", "bf16"):
        raise UserError(f"Precision must be auto, float32 or bf16, got {name!r}. Choose one of them.")
    fast = name == "bf16" or (name == "auto" and bool(_bf16_unit(device)))
    return torch.bfloat16 if fast else torch.float32


def words(device: torch.device) -> str:
    """Describe a device in a few words, such as ``"CPU, 2 threads, bf16 (AMX)"``."""
    unit = _bf16_unit(device)
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, {'bf16' if unit else 'float32'}"
    if device.type == "mps":
        return "Apple GPU (MPS), float32"
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'' if threads == 1 else 's'}, {f'bf16 ({unit})' if unit else 'float32'}"


def _bf16_unit(device: torch.device) -> str:
    """Name the part of the hardware that multiplies bf16 matrices; empty where it would be emulated."""
    if device.type == "cuda":
        return "GPU" if torch.cuda.is_bf16_supported(including_emulation=False) else ""
    if device.type != "cpu":
        return ""
    has = _cpu_capabilities()
    return "AMX" if has.get("amx_bf16") else "AVX-512" if has.get("avx512_bf16") else ""


def _cpu_capabilities() -> Mapping[str, Any]:
    """Ask torch what the CPU can do; a torch that cannot tell counts as a CPU without bf16."""
    ask = getattr(torch.cpu, "get_capabilities", None)
    return ask() if ask is not None else {}
