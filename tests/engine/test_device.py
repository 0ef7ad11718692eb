"""The device: chosen, named, and its precision."""

from __future__ import annotations

import pytest
import torch

from napari_diamant.engine import device
from napari_diamant.errors import UserError

CPU = torch.device("cpu")


def fake_hardware(monkeypatch: pytest.MonkeyPatch, *, cuda: bool = False, mps: bool = False) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: int(cuda))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


def test_auto_takes_cuda_then_mps_then_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for cuda, mps, expected in ((True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")):
        fake_hardware(monkeypatch, cuda=cuda, mps=mps)
        assert device.choose_device().type == expected
    assert device.choose_device("cpu") == CPU


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps", "xpu", "toaster", ""])
def test_a_device_that_is_not_there_gives_one_sentence(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    fake_hardware(monkeypatch)
    with pytest.raises(UserError, match="Choose auto or one of: cpu"):
        device.choose_device(name)


def test_a_graphics_card_too_many_gives_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_hardware(monkeypatch, cuda=True)
    assert device.choose_device("cuda:0") == torch.device("cuda:0")
    with pytest.raises(UserError, match="cuda:1"):
        device.choose_device("cuda:1")


@pytest.mark.parametrize(
    ("capabilities", "dtype", "word"),
    [
        ({"amx_bf16": True, "avx512_bf16": True}, torch.bfloat16, "bf16 (AMX)"),
        ({"amx_bf16": False, "avx512_bf16": True}, torch.bfloat16, "bf16 (AVX-512)"),
        ({"avx2": True}, torch.float32, "float32"),
    ],
)
def test_the_cpu_computes_in_bf16_only_where_it_has_units_for_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], dtype: torch.dtype, word: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert device.precision("auto", CPU) is dtype
    assert device.words(CPU).startswith("CPU, ")
    assert device.words(CPU).endswith(word)
    assert device.precision("float32", CPU) is torch.float32
    assert device.precision("bf16", CPU) is torch.bfloat16


def test_an_older_torch_that_cannot_tell_means_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert device.precision("auto", CPU) is torch.float32


def test_an_unknown_precision_gives_one_sentence() -> None:
    with pytest.raises(UserError, match="auto, float32 or bf16, got 'fp16'"):
        device.precision("fp16", CPU)
