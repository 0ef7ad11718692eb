"""Masks leave the project with a table of where they come from, and can be trained on elsewhere."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from napari_diamant.errors import UserError
from napari_diamant.io import pair_by_stem, read_image, read_labels
from napari_diamant.project import Project
from napari_diamant.types import IGNORED, Prediction


@pytest.fixture
def worked(project: Project) -> Project:
    """Give the project with a prediction and one stroke on the first image."""
    project.save_prediction(1, Prediction(np.ones((48, 64), np.uint8), "m1"))
    project.record(1, (0, 0), np.zeros((4, 5), np.int16), "erase")
    return project


@pytest.mark.parametrize(("kind", "suffix"), [("ome-tiff", ".ome.tif"), ("png", ".png")])
def test_the_exported_masks_are_those_on_the_screen(
    worked: Project, tmp_path: Path, kind: str, suffix: str
) -> None:
    written = worked.export(tmp_path / "out", kind)
    assert written[:2] == [tmp_path / "out" / f"{name}{suffix}" for name in "ab"]
    np.testing.assert_array_equal(read_labels(written[0]), worked.labels(1))
    assert not read_labels(written[1]).any()


def test_the_tables_say_where_each_mask_comes_from(worked: Project, tmp_path: Path) -> None:
    worked.export(tmp_path)
    with (tmp_path / "provenance.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == ["a.ome.tif", "b.ome.tif"]
    assert rows[0]["predicted_by"] == "m1"
    assert rows[0]["strokes"] == "1"
    assert rows[0]["corrected_pixels"] == "20"
    assert rows[0]["content_hash"] == worked.sample(1).content_hash
    whole = json.loads((tmp_path / "provenance.json").read_text(encoding="utf-8"))
    assert tuple(whole["journal"].values()) == worked.journal_tip()
    assert whole["classes"] == ["background", "foreground"]


def test_images_of_one_name_do_not_overwrite_each_others_masks(
    worked: Project, images: Path, tmp_path: Path
) -> None:
    from pictures import write_image

    worked.add([write_image(tmp_path / "other" / "a.png", seed=5)])
    names = [path.name for path in worked.export(tmp_path / "out")]
    assert names[:3] == ["a-1.ome.tif", "b.ome.tif", "a-3.ome.tif"]


def test_a_training_export_pairs_and_keeps_what_does_not_count_apart(worked: Project, tmp_path: Path) -> None:
    worked.export(tmp_path / "out", "training")
    pairs = pair_by_stem(tmp_path / "out" / "images", tmp_path / "out" / "masks")
    assert [image.name for image, _ in pairs] == ["a.png"]  # nothing was corrected on the other
    labels = read_labels(pairs[0][1])
    assert labels[0, 0] == 0
    assert labels[0, 8] == 1
    assert labels[40, 60] == IGNORED
    np.testing.assert_array_equal(read_image(pairs[0][0]).pixels, worked.image(1).pixels)


def test_a_mask_can_be_exported_without_its_image_but_not_for_training(
    worked: Project, tmp_path: Path
) -> None:
    shutil.rmtree(worked.sample(1).path.parent)
    with Project.open(worked.folder) as opened:
        assert len(opened.export(tmp_path / "out")) == 4
        with pytest.raises(UserError, match="no longer there"):
            opened.export(tmp_path / "training", "training")


def test_an_unknown_kind_is_refused_with_the_known_ones(worked: Project, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="ome-tiff, png, training"):
        worked.export(tmp_path, "jpeg")
