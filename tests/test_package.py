"""Promises of the package as a whole: what it imports, what it depends on, what its wheel holds."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "torchvision", "timm", "monai", "accelerate")
QT = ("PyQt5", "PyQt6", "PySide2", "PySide6", "qtpy", "vispy")


def loaded_after(code: str) -> set[str]:
    """Run code in a fresh interpreter and give the top-level modules that are loaded then."""
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import napari_diamant",
        "import napari_diamant.cli.app",
        "import napari_diamant.project",
        "import napari_diamant.io, napari_diamant.preprocess, napari_diamant.metrics",
        "import napari_diamant.models, napari_diamant.config, napari_diamant.types",
    ],
)
def test_importing_the_lower_floors_loads_neither_torch_nor_qt(code):
    assert loaded_after(code).isdisjoint({*HEAVY, *QT, "napari"})


def test_discovering_the_plugin_loads_neither_torch_nor_qt():
    modules = loaded_after(
        "from npe2 import PluginManager\n"
        "manager = PluginManager()\n"
        "manager.discover()\n"
        "assert manager.get_manifest('napari-diamant').contributions.widgets"
    )
    assert modules.isdisjoint({*HEAVY, *QT})


def test_the_package_imports_within_a_fifth_of_a_second():
    code = (
        "import time; start = time.perf_counter(); import napari_diamant; print(time.perf_counter() - start)"
    )
    times = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=ROOT).stdout)
        for _ in range(3)
    ]
    assert min(times) < 0.2


def test_the_manifest_at_the_top_is_the_packaged_one():
    assert (ROOT / "napari.yaml").read_bytes() == (ROOT / "napari_diamant/napari.yaml").read_bytes()


def test_the_base_dependencies_hold_no_qt_binding():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    base = [line.lower().replace(" ", "") for line in project["dependencies"]]
    assert not [line for line in base if line.startswith(("pyqt5", "pyqt6", "pyside")) or "napari[" in line]
    assert project["optional-dependencies"]["all"] == ["napari[all]"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    pytest.importorskip("hatchling", reason="hatchling, which builds the wheel, is not installed")
    folder = tmp_path_factory.mktemp("dist")
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as opened:
        yield opened


def test_the_wheel_holds_the_manifest_and_every_module(wheel):
    names = set(wheel.namelist())
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "napari_diamant").rglob("*.py")}
    assert "napari_diamant/napari.yaml" in names
    assert modules <= names


def test_the_wheel_holds_images_with_their_masks(wheel):
    images = {Path(name) for name in wheel.namelist() if "/sample_data/" in name and "/images/" in name}
    masks = {Path(name).stem for name in wheel.namelist() if "/sample_data/" in name and "/masks/" in name}
    assert images
    assert {path.stem for path in images} == masks


def test_the_wheel_holds_nothing_else(wheel):
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"napari_diamant"}
    assert sum(entry.file_size for entry in wheel.infolist()) < 40e6


def test_the_command_starts_the_program(wheel):
    (path,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    assert "napari-diamant = napari_diamant.cli:main" in wheel.read(path).decode()
