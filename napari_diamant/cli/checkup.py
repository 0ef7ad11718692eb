"""What `doctor` looks at: each check gives findings, and one that fails is a finding itself."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from napari_diamant.cli.window import INSTALL_WINDOW, has_display, qt_binding

NEEDED_GB = 4.0
"""Free memory for a fit at the default batch and crop, and free disk for weights and maps."""

LIBRARIES = (
    "torch",
    "torchvision",
    "timm",
    "monai",
    "accelerate",
    "safetensors",
    "numpy",
    "scipy",
    "tifffile",
)


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes
    ----------
    name, words
        What was looked at, and what was found.
    advice
        What to do about it; empty when all is well.
    state
        ``"warning"`` costs something but stops nothing; with ``"broken"`` the verbs cannot work.
    """

    name: str
    words: str
    advice: str = ""
    state: Literal["ok", "warning", "broken"] = "ok"


Check = Callable[[], Iterator[Finding]]


def warning(name: str, words: str, advice: str) -> Finding:
    """Give a finding that costs something but stops nothing."""
    return Finding(name, words, advice, "warning")


def examine(name: str, check: Check) -> list[Finding]:
    """Run a check; whatever it raises is reported, and the other checks still run."""
    try:
        return list(check())
    except Exception as error:  # noqa: BLE001 - a broken driver or library may raise anything
        words = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return [Finding(name, words, "Install the package again into a fresh environment.", "broken")]


def _program() -> Iterator[Finding]:
    python = f"Python {platform.python_version()} on {platform.platform(terse=True)}"
    yield Finding("program", f"napari-diamant {_version('napari-diamant') or '(a checkout)'}, {python}")


def _libraries() -> Iterator[Finding]:
    versions = {name: _version(name) for name in LIBRARIES}
    yield Finding("libraries", ", ".join(f"{name} {found}" for name, found in versions.items() if found))
    missing = " ".join(name for name, found in versions.items() if not found)
    if missing:
        yield Finding("libraries", f"missing: {missing}", f"Run: pip install {missing}", "broken")


def _device() -> Iterator[Finding]:
    from napari_diamant.engine import device

    chosen = device.choose_device("auto")
    words = device.words(chosen)
    if chosen.type == "cpu":
        yield warning("device", words, "It works; a GPU that torch can use would be many times faster.")
    else:
        yield Finding("device", words)


def _memory() -> Iterator[Finding]:
    import psutil

    memory = psutil.virtual_memory()
    free, total = memory.available / 2**30, memory.total / 2**30
    words = f"{free:.1f} of {total:.1f} GB free, {_cores()} processor cores"
    if free < NEEDED_GB:
        yield warning("memory", words, "Close other programs, or take a smaller --batch-size.")
    else:
        yield Finding("memory", words)


def _window() -> Iterator[Finding]:
    binding = qt_binding()
    if binding is None:
        yield warning("window", "no Qt binding is installed", f"To open the window, run: {INSTALL_WINDOW}")
    else:
        yield Finding("window", f"napari {_version('napari')} with {binding} {_version(binding)}")
    if not has_display():
        yield warning("display", "there is none", "The window needs one; the other verbs do not.")


def _weights() -> Iterator[Finding]:
    from napari_diamant.models.backbone_specs import BACKBONES
    from napari_diamant.project import catalog

    shipped = [entry.name for entry in catalog.list_models()]
    yield Finding("models", f"{', '.join(shipped) or 'none comes with this version'}")
    yield warning(
        "vision transformer",
        "without --backbone or --weights one with RANDOM weights stands in",
        f"Choose a published one of the {len(BACKBONES)} that `models` lists, or bring a file.",
    )


def _folder() -> Iterator[Finding]:
    import platformdirs
    import psutil

    folder = Path(platformdirs.user_data_dir("napari-diamant", appauthor=False))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        words = f"{folder} cannot be written ({error.strerror})"
        yield warning("data folder", words, "Get the right to write there, or keep projects elsewhere.")
        return
    free = psutil.disk_usage(str(folder)).free / 2**30
    if free < NEEDED_GB:
        yield warning(
            "data folder", f"{folder}, {free:.1f} GB free", "Free some space: weights and maps need it."
        )
    else:
        yield Finding("data folder", f"{folder}, {free:.0f} GB free")


CHECKS: dict[str, Check] = {
    "program": _program,
    "libraries": _libraries,
    "device": _device,
    "memory": _memory,
    "window": _window,
    "weights": _weights,
    "data folder": _folder,
}
"""Name to check, in the order of the report."""


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _cores() -> int:
    """Count the cores this process may use, which is fewer than the machine has in a container or a job."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
