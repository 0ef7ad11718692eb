"""The cache of maps: what decides, what survives damage, what is computed once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from napari_diamant.config import AttentionConfig, BackboneConfig
from napari_diamant.engine.attention import AttentionCache, attend
from napari_diamant.models.backbones import Backbone, load_backbone
from napari_diamant.types import AttentionMaps

PIXELS = np.arange(40 * 48, dtype=np.uint16).reshape(40, 48)
HASH = "a" * 64


class Counted:
    """Computes maps and counts how often."""

    def __init__(self, backbone: Backbone, config: AttentionConfig) -> None:
        self.backbone, self.config, self.calls = backbone, config, 0

    def __call__(self) -> AttentionMaps:
        self.calls += 1
        return attend(PIXELS, self.config, self.backbone)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return load_backbone(BackboneConfig(), torch.device("cpu"))


def test_maps_are_computed_once_and_read_back_whole(tmp_path: Path, backbone: Backbone) -> None:
    config = AttentionConfig(size=64)
    compute = Counted(backbone, config)
    first = AttentionCache(tmp_path / "attention").get(HASH, config, backbone, compute)
    second = AttentionCache(tmp_path / "attention").get(HASH, config, backbone, compute)
    assert compute.calls == 1
    assert np.array_equal(first.maps, second.maps)
    assert {**vars(first), "maps": None} == {**vars(second), "maps": None}


def test_only_what_shapes_the_maps_decides(tmp_path: Path, backbone: Backbone) -> None:
    cache, plain = AttentionCache(tmp_path), AttentionConfig()
    same = [
        AttentionConfig(block=5),
        AttentionConfig(scaling="minmax", upsampling="nearest"),
        AttentionConfig(backbone=BackboneConfig(seed=9)),  # the weights in hand count, not the wish
    ]
    other = [
        AttentionConfig(block=3),
        AttentionConfig(size=480),
        AttentionConfig(tile=512),
        AttentionConfig(overlap=128),
        AttentionConfig(channels=(2,)),
    ]
    key = cache.path(HASH, plain, backbone)
    assert {cache.path(HASH, config, backbone) for config in same} == {key}
    assert len({cache.path(HASH, config, backbone) for config in other} | {key}) == 1 + len(other)
    assert cache.path("b" * 64, plain, backbone) != key
    reseeded = load_backbone(BackboneConfig(seed=1), torch.device("cpu"))
    assert cache.path(HASH, plain, reseeded) != key


@pytest.mark.parametrize(
    "damage", [b"", b"PK\x03\x04 not an archive", None], ids=["empty", "wrong", "truncated"]
)
def test_a_damaged_file_is_computed_anew(tmp_path: Path, backbone: Backbone, damage: bytes | None) -> None:
    cache, config = AttentionCache(tmp_path), AttentionConfig()
    compute = Counted(backbone, config)
    first = cache.get(HASH, config, backbone, compute)
    path = cache.path(HASH, config, backbone)
    path.write_bytes(path.read_bytes()[:-200] if damage is None else damage)
    again = cache.get(HASH, config, backbone, compute)
    assert compute.calls == 2
    assert np.array_equal(first.maps, again.maps)
    cache.get(HASH, config, backbone, compute)
    assert compute.calls == 2


def test_an_array_of_objects_in_the_cache_runs_nothing(tmp_path: Path, backbone: Backbone) -> None:
    cache, config = AttentionCache(tmp_path), AttentionConfig()
    path = cache.path(HASH, config, backbone)
    np.savez(path, maps=np.array([{"a": 1}], dtype=object), facts=np.array("{}"))
    compute = Counted(backbone, config)
    assert cache.get(HASH, config, backbone, compute).heads == 6
    assert compute.calls == 1


def test_a_computation_that_fails_leaves_nothing_behind(tmp_path: Path, backbone: Backbone) -> None:
    def fail() -> AttentionMaps:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        AttentionCache(tmp_path).get(HASH, AttentionConfig(), backbone, fail)
    assert list(tmp_path.iterdir()) == []
