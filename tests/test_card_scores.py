"""Scores that a run takes from the cards of the package's experts, and where it must not."""

import pytest

from actormimic.bundled import BUNDLED
from actormimic.card_scores import card_scores
from actormimic.cards import read_card
from actormimic.config_files import given_experts, load_settings

GAMES = "games=[atlantis, pong]"


def scores(*words):
    settings = load_settings("amn.yaml", [GAMES, "experts=bundled", *words])
    return card_scores(settings, given_experts(settings))


@pytest.mark.parametrize("words", [(), ("environment.num_envs=2", "environment.emulation=stock")])
def test_the_cards_figures_are_those_of_the_run(words):
    found = scores(*words)
    assert found is not None
    for game in ("atlantis", "pong"):
        card = read_card(BUNDLED / f"{game}.yaml").evaluation
        for who, played in (("expert", card.expert), ("random", card.random)):
            assert found[who][game] == {
                "mean": played.mean,
                "std": played.deviation,
                "max": played.best,
                "episodes": played.episodes,
            }


@pytest.mark.parametrize(
    "word",
    [
        "evaluation.agent_steps=125001",  # longer than the cards'
        "evaluation.epsilon=0.1",
        "evaluation.protocol=batched",
        "environment.max_emulator_frames=9000",
        "environment.frame_skip=3",
        "environment.sticky_probability=0.25",
        "precision=bfloat16",
        f"experts={{atlantis: bundled, pong: {BUNDLED / 'pong.safetensors'}}}",
    ],
)
def test_other_epochs_and_other_experts_are_played(word):
    assert scores(word) is None
