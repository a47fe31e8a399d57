"""What is known of experts before a run: the test epochs on the cards of the package's own."""

from __future__ import annotations

from collections.abc import Mapping

from actormimic.bundled import bundled_path
from actormimic.cards import PlayedEpisodes, read_card
from actormimic.checkpoint import load_weights
from actormimic.config import ActorMimicRun, GamesSettings
from actormimic.config_files import check_settings
from actormimic.environments import whole_games
from actormimic.evaluation import Summary, epoch_in_words
from actormimic.sections import EnvironmentSettings, EvaluationSettings, ExpertFile, expert_file

FROM_CARDS = "experts and random play: the longer test epochs of the experts' cards"
"""What a caption says where they are."""

CardScores = Mapping[str, Mapping[str, Summary]]


def card_scores(
    settings: ActorMimicRun, sources: Mapping[str, str | ExpertFile]
) -> CardScores | None:
    """The scores of ``random`` and ``expert`` by game, from test epochs as long as the run's or
    longer and like them in everything else; None where a card is not of such an epoch.

    An expert does not change from run to run, and its card's epoch is the longer one: another would
    take time from the student for a worse estimate.
    """
    if settings.precision != "float32":  # other arithmetic plays otherwise
        return None
    scores: dict[str, dict[str, Summary]] = {"random": {}, "expert": {}}
    for game, source in sources.items():
        if expert_file(source) != "bundled":
            return None
        path = bundled_path(game)
        played = read_card(path.with_suffix(".yaml")).evaluation
        _, header = load_weights(path)
        trained = check_settings(header.settings)
        assert isinstance(trained, GamesSettings)  # what the package ships are experts
        as_long = settings.evaluation.model_copy(update={"agent_steps": played.agent_steps})
        if settings.evaluation.agent_steps > played.agent_steps or not _alike(
            played.protocol, as_long, settings.environment, trained.environment
        ):
            return None
        scores["random"][game] = _summary(played.random)
        scores["expert"][game] = _summary(played.expert)
    return scores


def _alike(
    protocol: str,
    evaluation: EvaluationSettings,
    environment: EnvironmentSettings,
    of_card: EnvironmentSettings,
) -> bool:
    """Whether a card's epoch is one of ``evaluation`` in ``environment``."""
    elsewhere = {"num_envs": 1, "threads": 1, "emulation": "fast"}  # change nothing that is played
    wanted, found = (
        whole_games(one).model_copy(update=elsewhere) for one in (environment, of_card)
    )
    return wanted == found and protocol == epoch_in_words(evaluation, environment)


def _summary(played: PlayedEpisodes) -> Summary:
    return {
        "mean": played.mean,
        "std": played.deviation,
        "max": played.best,
        "episodes": played.episodes,
    }
