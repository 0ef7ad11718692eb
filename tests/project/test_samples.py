"""Images are referenced by path and recognised by content."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from pictures import write_image

from napari_diamant.errors import UserError
from napari_diamant.io import content_hash, read_image
from napari_diamant.project import Project
from napari_diamant.project.cache import ByteCache


def test_a_folder_is_added_whole_and_in_order(project: Project, images: Path) -> None:
    samples = project.samples()
    assert [sample.name for sample in samples] == ["a", "b"]
    assert [sample.id for sample in samples] == [1, 2]
    assert samples[0].shape == (48, 64)
    assert samples[0].content_hash == content_hash(read_image(images / "a.png").pixels)
    assert project.find(samples[1].content_hash) == samples[1]
    assert project.find("unknown") is None


def test_the_same_content_is_one_sample_whatever_its_name(project: Project, images: Path) -> None:
    shutil.copy(images / "a.png", images / "copy of a.png")
    assert project.add([images / "copy of a.png", images / "a.png"]) == [project.sample(1)] * 2
    assert len(project.samples()) == 2


def test_originals_are_never_touched(project: Project, images: Path) -> None:
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in images.iterdir()}
    project.record(1, (0, 0), np.ones((4, 4), np.int16), "paint")
    project.set_reviewed(1, True)
    project.verify()
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in images.iterdir()} == before


def test_a_vanished_original_is_one_sentence_that_names_the_file(project: Project, images: Path) -> None:
    (images / "b.png").unlink()
    with Project.open(project.folder) as opened, pytest.raises(UserError, match=r"b\.png is no longer there"):
        opened.image(2)


def test_a_moved_original_is_found_by_its_content_even_under_another_name(
    project: Project, images: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "archive" / "2026"
    elsewhere.mkdir(parents=True)
    (images / "a.png").rename(elsewhere / "renamed.png")
    write_image(elsewhere / "a.png", seed=77)  # the old name, other pixels
    (elsewhere / "broken.png").write_bytes(b"no image")
    found = project.relocate(tmp_path / "archive")
    assert [(sample.id, sample.path) for sample in found] == [(1, elsewhere / "renamed.png")]
    assert project.image(1).shape == (48, 64)


def test_adding_a_moved_original_again_finds_its_corrections(
    project: Project, images: Path, tmp_path: Path
) -> None:
    project.record(1, (0, 0), np.ones((4, 4), np.int16), "paint")
    moved = (images / "a.png").rename(tmp_path / "moved.png")
    sample = project.add([moved])[0]
    assert (sample.id, sample.path) == (1, moved)
    assert project.labels(1).sum() == 16


def test_a_project_moved_together_with_its_images_still_finds_them(
    project: Project, images: Path, tmp_path: Path
) -> None:
    project.close()
    (tmp_path / "drive").mkdir()
    project.folder.rename(tmp_path / "drive" / "project")
    images.rename(tmp_path / "drive" / "images")
    with Project.open(tmp_path / "drive" / "project") as opened:
        assert opened.image(1).path == tmp_path / "drive" / "images" / "a.png"


def test_corrections_are_never_laid_over_other_pixels(project: Project, images: Path) -> None:
    write_image(images / "a.png", seed=55)
    with Project.open(project.folder) as opened, pytest.raises(UserError, match="has changed"):
        opened.image(1)


def test_an_unknown_number_is_told_in_words(project: Project) -> None:
    with pytest.raises(UserError, match="no image number 9"):
        project.sample(9)


def test_an_unreadable_file_adds_nothing(project: Project, images: Path) -> None:
    (images / "broken.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"broken\.png"):
        project.add([images / "broken.png"])
    assert len(project.samples()) == 2


def test_the_memory_keeps_what_was_used_last_within_its_bytes() -> None:
    kept: ByteCache[str, bytes] = ByteCache(len, limit=10)
    for name, size in (("a", 4), ("b", 4)):
        kept.put(name, bytes(size))
    kept.get("a")
    kept.put("c", bytes(4))
    assert [name for name in "abc" if kept.get(name) is not None] == ["a", "c"]
    kept.put("larger than all", bytes(99))
    assert kept.get("larger than all") is not None
    assert kept.get("c") is None
