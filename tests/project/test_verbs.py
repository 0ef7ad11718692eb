"""The verbs on plain files: outputs by stem, and batches that go on after a bad file."""

from __future__ import annotations

import shutil
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
from pictures import write_discs

from napari_diamant.config import AttentionConfig, ModelConfig, TrainConfig
from napari_diamant.errors import UserError
from napari_diamant.io import read_labels
from napari_diamant.project import verbs
from napari_diamant.types import JSON, Progress

RECIPE = TrainConfig(epochs=2, steps_per_epoch=3, batch_size=2, crop=32, augment="none", device="cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with ``images/``, ``masks/`` and a trained ``model.safetensors``."""
    root = tmp_path_factory.mktemp("verbs")
    (root / "masks").mkdir()
    for seed in range(3):
        mask = write_discs(root / "images" / f"{seed}.png", seed)
        imageio.imwrite(root / "masks" / f"{seed}.png", mask * 255)
    return root


@pytest.fixture(scope="module")
def trained(folder: Path) -> JSON:
    return verbs.train_folder(
        folder / "images",
        folder / "masks",
        folder / "model.safetensors",
        ModelConfig(width=4, depth=2, maps=1),
        RECIPE,
        attention=AttentionConfig(),
    )


def test_train_says_what_was_learned_and_how_good_it_is(folder: Path, trained: JSON) -> None:
    assert Path(trained["output"]).is_file()
    assert trained["images"] == 3
    assert trained["epochs"] == 2
    assert trained["before"] is None
    assert 0 <= trained["after"] <= 1
    assert trained["trained"] is False
    assert "RANDOM" in trained["backbone"]


def test_predict_goes_on_after_a_bad_file_and_names_it(folder: Path, trained: JSON, tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    images = [folder / "images" / "0.png", bad, folder / "images" / "2.png"]
    news: list[Progress] = []
    results = verbs.predict_files(
        images,
        Path(trained["output"]),
        tmp_path / "out",
        device="cpu",
        probabilities=True,
        report=news.append,
    )
    assert ["error" in result for result in results] == [False, True, False]
    assert "bad.png" in results[1]["error"]
    mask = read_labels(tmp_path / "out" / "2.ome.tif")
    assert mask.shape == (64, 72)
    shares = results[2]["shares"]
    assert shares["foreground"] == pytest.approx((mask == 1).mean(), abs=1e-5)
    chances = tifffile.imread(tmp_path / "out" / "2.probabilities.ome.tif")
    np.testing.assert_allclose(chances.sum(axis=0), 1, atol=2e-3)
    assert {progress.total for progress in news} == {3}
    assert [progress.done for progress in news] == sorted(progress.done for progress in news)


def test_heads_that_are_left_off_change_the_mask_or_at_least_its_probabilities(
    folder: Path, trained: JSON, tmp_path: Path
) -> None:
    image = [folder / "images" / "0.png"]
    for name, heads in (("all", None), ("one", [0])):
        verbs.predict_files(
            image, Path(trained["output"]), tmp_path / name, heads=heads, probabilities=True, device="cpu"
        )
    both = [tifffile.imread(tmp_path / name / "0.probabilities.ome.tif") for name in ("all", "one")]
    assert not np.array_equal(*both)


def test_attend_writes_one_channel_per_head(folder: Path, tmp_path: Path) -> None:
    results = verbs.attend_files([folder / "images" / "1.png"], tmp_path, AttentionConfig(), device="cpu")
    assert results[0]["heads"] == 6
    assert results[0]["shape"] == [8, 9]
    assert tifffile.imread(tmp_path / "1.ome.tif").shape == (6, 8, 9)


def test_evaluate_scores_every_image(folder: Path, trained: JSON) -> None:
    result = verbs.evaluate_folder(folder / "images", folder / "masks", Path(trained["output"]), device="cpu")
    assert [image["name"] for image in result["images"]] == ["0", "1", "2"]
    low, value, high = (result["mean"]["dice"][key] for key in ("low", "value", "high"))
    assert 0 <= low <= value <= high <= 1


def test_the_shuffled_control_sees_the_maps_of_another_image(folder: Path, tmp_path: Path) -> None:
    """Scored with its own maps it would be no control; predicting one image alone is refused."""
    model = tmp_path / "shuffled.safetensors"
    config = ModelConfig(width=4, depth=2, maps=1, map_control="shuffled")
    pairs = (folder / "images", folder / "masks")
    verbs.train_folder(*pairs, model, config, RECIPE, attention=AttentionConfig())
    assert len(verbs.evaluate_folder(*pairs, model, device="cpu")["images"]) == 3
    refused = verbs.predict_files([folder / "images" / "0.png"], model, tmp_path / "out", device="cpu")
    assert "another image's maps" in refused[0]["error"]
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
        shutil.copy(folder / kind / "0.png", tmp_path / kind)
    with pytest.raises(UserError, match="2 images"):
        verbs.evaluate_folder(tmp_path / "images", tmp_path / "masks", model, device="cpu")


def test_a_mask_of_another_size_is_told_with_both_names(folder: Path, trained: JSON, tmp_path: Path) -> None:
    shutil.copytree(folder / "masks", tmp_path / "masks")
    imageio.imwrite(tmp_path / "masks" / "1.png", np.zeros((9, 9), np.uint8))
    with pytest.raises(UserError, match=r"\(9, 9\).*1\.png.*\(64, 72\)"):
        verbs.evaluate_folder(folder / "images", tmp_path / "masks", Path(trained["output"]), device="cpu")


def test_two_images_of_one_stem_are_refused_before_any_work(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "images" / "0.png", tmp_path / "0.png")
    with pytest.raises(UserError, match="stem"):
        verbs.attend_files(
            [folder / "images" / "0.png", tmp_path / "0.png"], tmp_path / "out", AttentionConfig()
        )
    assert not (tmp_path / "out").exists()


def test_an_original_is_never_overwritten(trained: JSON, tmp_path: Path) -> None:
    image = tmp_path / "scan.ome.tif"
    tifffile.imwrite(image, np.zeros((32, 32), np.uint8))
    before = image.read_bytes()
    results = verbs.predict_files([image], Path(trained["output"]), tmp_path, device="cpu")
    assert "would replace" in results[0]["error"]
    assert image.read_bytes() == before


@pytest.mark.parametrize("place", ["a folder", "a file/model.safetensors"])
def test_a_place_that_cannot_be_written_to_is_told_before_learning(
    folder: Path, tmp_path: Path, place: str
) -> None:
    (tmp_path / "a folder").mkdir()
    (tmp_path / "a file").touch()
    news: list[Progress] = []
    pairs = (folder / "images", folder / "masks", tmp_path / place)
    with pytest.raises(UserError, match="must be a place that can be written to"):
        verbs.train_folder(*pairs, ModelConfig(), RECIPE, attention=AttentionConfig(), report=news.append)
    assert news == []


def test_outputs_that_cannot_be_written_are_told_before_any_image_is_read(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    images, news = sorted((folder / "images").iterdir()), []
    with pytest.raises(UserError, match="must be a place that can be written to"):
        verbs.attend_files(images, tmp_path / "file", AttentionConfig(), report=news.append)
    assert news == []


def test_a_missing_model_is_told_before_any_image_is_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model file"):
        verbs.predict_files([tmp_path / "none.png"], tmp_path / "none.safetensors", tmp_path)
