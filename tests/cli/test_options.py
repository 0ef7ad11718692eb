"""Options follow the configuration's fields."""

from __future__ import annotations

import inspect

import pytest
import typer

from napari_diamant.cli.options import (
    ATTENTION,
    FIT,
    MAPS,
    NETWORK,
    attention_settings,
    head_list,
    settings,
    takes,
)
from napari_diamant.config import AttentionConfig, ModelConfig, TrainConfig

GROUPS = ATTENTION + MAPS + NETWORK + FIT


def test_every_field_of_a_network_and_a_fit_can_be_set():
    reachable = {(choice.config, choice.field) for choice in GROUPS}
    wanted = {(config, field) for config in (ModelConfig, TrainConfig) for field in config.model_fields}
    # The number of maps follows from the transformer's heads.
    assert wanted - reachable == {(ModelConfig, "maps")}


def test_no_two_options_share_a_name():
    names = [choice.keyword for choice in GROUPS]
    assert len(set(names)) == len(names)


def test_nothing_given_is_the_configurations_default():
    assert settings(ModelConfig, NETWORK, {}) == ModelConfig()
    assert attention_settings({}) == AttentionConfig()


def test_lists_are_written_with_commas():
    config = settings(ModelConfig, NETWORK, {"classes": "background, gland,nucleus"})
    assert config.classes == ("background", "gland", "nucleus")
    assert attention_settings({"channels": "2,1,0"}).channels == (2, 1, 0)


@pytest.mark.parametrize(("word", "size"), [("native", "native"), ("480", 480)])
def test_the_size_is_a_word_or_a_number(word, size):
    assert attention_settings({"size": word}).size == size


def test_the_backbone_and_its_weights_reach_the_attention():
    backbone = attention_settings({"backbone": "dino-vits8", "weights": "w.pth"}).backbone
    assert (backbone.name, backbone.weights) == ("dino-vits8", "w.pth")


def test_a_verb_takes_its_own_parameters_and_the_choices():
    @takes(*MAPS)
    def verb(out: str, **chosen: object) -> None: ...

    assert list(inspect.signature(verb).parameters) == ["out", "scaling", "upsampling"]


def test_heads_are_numbers():
    assert head_list("0,2, 5") == [0, 2, 5]
    assert head_list(None) is None
    with pytest.raises(typer.BadParameter, match="0,2,5"):
        head_list("all")
