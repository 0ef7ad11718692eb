"""The plugin's page in napari's preferences, and where things lie when nobody has chosen."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_diamant.config import STAND_IN, AttentionConfig, BackboneConfig
from napari_diamant.gui.reader import DATABASE
from napari_diamant.project import Project

PLUGIN = "napari-diamant"
CLASSES = ("background", "foreground")


@dataclass(frozen=True)
class Settings:
    """What the user may set for every project; the defaults are those of ``napari.yaml``.

    Attributes
    ----------
    backbone, weights
        The vision transformer of a new project; None for the weights its name stands for.
    command
        Words that start ``napari-diamant``; None for the interpreter of the window.
    device
        Where to compute.
    minutes
        Longest time of a fit.
    """

    backbone: str = STAND_IN
    weights: str | None = None
    command: tuple[str, ...] | None = None
    device: str = "auto"
    minutes: float = 3.0


def read_settings() -> Settings:
    """Read the preferences; the defaults where this napari (before 0.9) has no pages for plugins."""
    try:
        from napari.settings import get_plugin_settings
    except ImportError:
        return Settings()
    try:
        page = get_plugin_settings(PLUGIN)
    except KeyError:  # used from a checkout that is not installed as a plugin
        return Settings()
    return _from_page(page)


def default_project() -> Path:
    """Give the folder of the project that stands in until one is chosen, in the user's data folder."""
    from platformdirs import user_data_path

    return Path(user_data_path(PLUGIN, appauthor=False)) / "projects" / "default"


def open_or_make(folder: Path, settings: Settings) -> Project:
    """Open a project, and make it where there is none yet."""
    return Project.open(folder) if (folder / DATABASE).exists() else make_project(folder, settings)


def make_project(folder: Path, settings: Settings, classes: Sequence[str] = CLASSES) -> Project:
    """Make a project that begins with the user's preferences; later changes are the project's own."""
    project = Project.create(folder, classes)
    backbone = BackboneConfig(name=settings.backbone, weights=settings.weights)
    if backbone != BackboneConfig():
        project.settings["attention"] = AttentionConfig(backbone=backbone).model_dump(mode="json")
    if settings.device != "auto":
        project.settings["device"] = settings.device
    return project


def _from_page(page: Any) -> Settings:
    return Settings(
        backbone=page.attention.backbone.strip() or Settings.backbone,
        weights=page.attention.weights.strip() or None,
        command=tuple(shlex.split(page.processes.command)) or None,
        device=page.processes.device,
        minutes=page.fine_tune.minutes,
    )
