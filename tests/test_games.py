import subprocess
import sys

import pytest
from ale_py import ALEInterface, LoggerMode, roms

from actormimic import games


def test_sets_of_the_paper() -> None:
    assert len(games.MULTITASK_GAMES) == 8
    assert len(games.TRANSFER_SOURCES) == 13
    assert len(games.TRANSFER_TARGETS) == 7
    assert not set(games.TRANSFER_SOURCES) & set(games.TRANSFER_TARGETS)
    assert len(games.GAMES) == 104
    everything = {*games.MULTITASK_GAMES, *games.TRANSFER_SOURCES, *games.TRANSFER_TARGETS}
    assert everything == set(games.REFERENCE_SCORES)


@pytest.mark.parametrize("game", ["pong", "breakout", "enduro", "gopher", "krull", "skiing"])
def test_minimal_actions_are_those_of_ale(game: str) -> None:
    ALEInterface.setLoggerMode(LoggerMode.Error)
    ale = ALEInterface()
    ale.loadROM(roms.get_rom_path(game))
    assert games.minimal_actions(game) == tuple(a.value for a in ale.getMinimalActionSet())


def test_sizes_of_the_minimal_action_sets() -> None:
    sizes = {
        **{"assault": 7, "atlantis": 4, "beam_rider": 9, "boxing": 18, "breakout": 4},
        **{"crazy_climber": 9, "demon_attack": 6, "enduro": 9, "fishing_derby": 18, "gopher": 8},
        **{"kangaroo": 18, "krull": 18, "name_this_game": 6, "pong": 6, "road_runner": 18},
        **{"robotank": 18, "seaquest": 18, "space_invaders": 6, "star_gunner": 18},
        "video_pinball": 9,
    }
    assert {game: len(games.minimal_actions(game)) for game in sizes} == sizes
    assert len(games.ACTIONS) == 18


@pytest.mark.parametrize(
    ("typo", "meant"), [("pogn", "pong"), ("Space Invaders", "space_invaders")]
)
def test_unknown_game_names_the_nearest(typo: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"{typo}.*did you mean '{meant}'"):
        games.canonical_name(typo)


def test_human_normalized_states_its_column() -> None:
    scores = games.reference_scores("pong")
    assert games.human_normalized("pong", scores.random) == 0
    assert games.human_normalized("pong", 9.3) == pytest.approx(1)
    assert games.human_normalized("pong", 14.6, human="dqn_zoo") == pytest.approx(1)
    with pytest.raises(ValueError, match="human is 'me'; allowed: 'nature', 'dqn_zoo'"):
        games.human_normalized("pong", 0, human="me")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'skiing' has no reference scores"):
        games.human_normalized("skiing", 0)


def test_imports_nothing_heavy() -> None:
    code = (
        "import sys, actormimic.games; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
