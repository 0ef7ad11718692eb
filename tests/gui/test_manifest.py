"""What the manifest promises to napari is there, and finding it out costs nothing."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
from napari.utils.shortcuts import default_shortcuts
from npe2 import PluginManifest

import napari_diamant
from napari_diamant.config import STAND_IN
from napari_diamant.gui.settings import Settings, read_settings
from napari_diamant.gui.shortcuts import KEYS

MANIFEST = Path(napari_diamant.__file__).with_name("napari.yaml")


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    return PluginManifest.from_file(MANIFEST)


def test_every_command_leads_to_something_that_can_be_called(manifest):
    for command in manifest.contributions.commands:
        module, name = command.python_name.split(":")
        assert callable(getattr(importlib.import_module(module), name)), command.id


def test_discovery_and_the_folder_reader_import_neither_torch_nor_qt(tmp_path):
    code = (
        "import sys; from npe2 import PluginManager;"
        "pm = PluginManager(); pm.discover(); pm.activate('napari-diamant');"
        f"assert pm.commands.execute('napari-diamant.read_folder', ({str(tmp_path)!r},)) is None;"
        "found = {'torch', 'qtpy', 'PyQt6', 'PySide6', 'timm', 'napari'} & set(sys.modules);"
        "assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_the_defaults_of_the_preferences_are_those_of_the_program(manifest):
    pages = manifest.contributions.configurations
    defaults = {name: field.default for page in pages.values() for name, field in page.properties.items()}
    settings = Settings()
    assert defaults["backbone"] == settings.backbone == STAND_IN
    assert (defaults["device"], defaults["minutes"]) == (settings.device, settings.minutes)
    assert (defaults["weights"], defaults["command"]) == ("", "")


def test_the_preferences_page_reaches_the_program(plugin_settings, npe2pm, tmp_path):
    from napari.settings import get_plugin_settings

    with npe2pm.tmp_plugin(manifest=MANIFEST):
        page = get_plugin_settings("napari-diamant")
        page.processes.command = 'ssh "gpu box" napari-diamant'
        page.attention.weights = "/data/dino.pth"
        settings = read_settings()
    assert settings.command == ("ssh", "gpu box", "napari-diamant")
    assert settings.weights == "/data/dino.pth"
    assert settings.minutes == 3.0


def test_without_a_page_for_the_plugin_the_defaults_hold(plugin_settings, npe2pm):
    assert read_settings() == Settings()


def test_no_key_is_one_of_naparis_own():
    taken = {str(key) for keys in default_shortcuts.values() for key in keys}
    assert not taken & {key.replace("-", "+") for key in KEYS}
