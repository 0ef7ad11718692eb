"""A few small images, a model that has learned nothing, and a project, all quick to compute with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest

from napari_diamant.cli import main
from napari_diamant.config import AttentionConfig, ModelCard, ModelConfig
from napari_diamant.project import Project

COUNT, SIDE = 3, 64


@dataclass(frozen=True)
class Folders:
    """Where the images and the masks of the same stems lie."""

    images: Path
    masks: Path


@pytest.fixture(scope="session")
def folders(tmp_path_factory) -> Folders:
    """Draw bright discs on a dark ground, with exact masks."""
    root = tmp_path_factory.mktemp("discs")
    made = Folders(root / "images", root / "masks")
    made.images.mkdir()
    made.masks.mkdir()
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for number in range(COUNT):
        disc = np.hypot(rows - 24 - 8 * number, columns - 32) < 14
        noise = np.random.default_rng(number).integers(0, 40, (SIDE, SIDE, 3))
        imageio.imwrite(made.images / f"disc_{number}.png", (noise + 180 * disc[..., None]).astype(np.uint8))
        imageio.imwrite(made.masks / f"disc_{number}.png", disc.astype(np.uint8))
    return made


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    """Write a tiny dual encoder with new weights, as a fit would leave it."""
    import torch

    from napari_diamant.engine import checkpoint
    from napari_diamant.models.backbones import load_backbone
    from napari_diamant.models.build import build_network

    torch.manual_seed(0)
    attention = AttentionConfig()
    backbone = load_backbone(attention.backbone, torch.device("cpu"))
    config = ModelConfig(width=2, depth=2, maps=backbone.heads)
    card = ModelCard(model=config, attention=attention, backbone_hash=backbone.weights_hash)
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    checkpoint.save(path, build_network(config), card)
    return path


@pytest.fixture
def project(tmp_path, folders, model) -> Path:
    """Make a project with the images, the tiny model in use, and one image reviewed."""
    from napari_diamant.engine import checkpoint

    with Project.create(tmp_path / "project") as made:
        samples = made.add([folders.images])
        made.activate(made.register_model(model, checkpoint.read_card(model)).id)
        made.start_from(samples[0].id, imageio.imread(folders.masks / "disc_0.png"))
        made.set_reviewed(samples[0].id, True)
        return made.folder


@pytest.fixture
def run_json(capsys):
    """Run a verb with ``--json`` and give its exit code and its objects."""

    def run(*words: object) -> tuple[int, list[dict]]:
        code = main([*map(str, words), "--json"])
        return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run
