"""A network's game as a video: pictures and score are those of the game that it plays."""

import imageio.v2 as imageio
import imageio_ffmpeg
import numpy as np
import pytest

from actormimic import play
from actormimic.checkpoint import WeightsHeader, save_weights
from actormimic.environments import make_env, whole_games
from actormimic.games import minimal_actions
from actormimic.networks import seeded_network
from actormimic.policy import RandomPolicy
from actormimic.sections import EnvironmentSettings, NetworkSettings

GAMES = ("pong", "breakout")
ACTION_SETS = tuple(minimal_actions(game) for game in GAMES)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A run folder with the weights of an untrained network."""
    folder = tmp_path_factory.mktemp("run")
    network = seeded_network(NetworkSettings(size="nips2013"), ACTION_SETS, 0)
    header = WeightsHeader(
        kind="actor_mimic",
        games=GAMES,
        action_sets=ACTION_SETS,
        network=network.description(),
        settings={"environment": {"max_emulator_frames": 200}},
        agent_steps=0,
    )
    (folder / "checkpoints").mkdir()
    save_weights(folder / "checkpoints" / "final.safetensors", network.state_dict(), header)
    return folder


def random_game(**changes):
    options = {"epsilon": 1.0, "seed": 3, "max_agent_steps": 60, **changes}
    environment = EnvironmentSettings(**options.pop("environment", {}))
    return play.Game(RandomPolicy(GAMES, ACTION_SETS), "breakout", environment, **options)


def test_the_pictures_show_the_game_that_the_policy_plays():
    frames_seen = []

    class Watching(RandomPolicy):
        def act(self, frames, game_index, epsilon, rng):
            frames_seen.append(frames[0, -1].copy())
            return super().act(frames, game_index, epsilon, rng)

    policy = Watching(GAMES, ACTION_SETS)
    game = play.Game(
        policy, "breakout", EnvironmentSettings(), epsilon=1.0, seed=3, max_agent_steps=60
    )
    pictures = list(game.pictures())
    assert len(pictures) == game.agent_steps + 1
    assert pictures[0].shape == (play.HEIGHT, play.WIDTH, 3)
    assert len({picture.tobytes() for picture in pictures}) > 20
    for picture, seen in zip(pictures, frames_seen, strict=False):
        # The policy's frame is the picture in gray, smaller: rows and columns light up alike.
        gray = picture @ np.array([0.299, 0.587, 0.114])
        rows = gray.reshape(42, 5, 160).mean(axis=(1, 2))
        assert np.abs(rows - seen.reshape(42, 2, 84).mean(axis=(1, 2))).max() < 1.5


def test_the_score_is_that_of_the_same_game_played_alone():
    game = random_game(max_agent_steps=400)
    for _ in game.pictures():
        pass
    settings = whole_games(EnvironmentSettings())
    policy = RandomPolicy(GAMES, ACTION_SETS)
    rng = np.random.default_rng(3)
    score = 0.0
    with make_env(["breakout"], 1, settings) as env:
        frames, _ = env.reset(seed=3)
        for _ in range(game.agent_steps):
            actions = policy.act(frames, np.array([1], dtype=np.int32), 1.0, rng)
            frames, rewards, *_ = env.step(actions)
            score += rewards[0]
    assert game.score == score
    assert game.score > 0


def test_a_game_is_over_when_it_is():
    limited = random_game()
    assert len(list(limited.pictures())) == 61
    assert not limited.over
    cut = random_game(max_agent_steps=5000, environment={"max_emulator_frames": 400})
    assert len(list(cut.pictures())) <= 101
    assert not cut.over  # the run's own limit ended it, at 0:0 perhaps
    whole = random_game(max_agent_steps=20_000)
    assert len(list(whole.pictures())) == whole.agent_steps + 1 < 20_001
    assert whole.over


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_a_video_is_written_and_the_score_printed(checkpoint, tmp_path, capsys, suffix):
    out = tmp_path / "new" / f"pong{suffix}"
    words = ["--game", "pong", "--out", str(out), "--max-agent-steps", "20"]
    assert play.main([str(checkpoint), *words]) == 0
    line = capsys.readouterr().out
    assert line.startswith("pong: score ")
    assert f"after 20 agent steps, stopped before the game was over; {out}" in line
    if suffix == ".mp4":
        frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(out))
        assert frames == 21
        assert seconds == pytest.approx(21 / 15, abs=0.1)
    else:
        assert len(imageio.mimread(out)) == 21


def test_weights_files_and_their_environment_are_taken(checkpoint, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    weights = checkpoint / "checkpoints" / "final.safetensors"
    assert play.main([str(weights), "--game", "breakout", "--epsilon", "1"]) == 0
    # 200 emulator frames at 4 to the step, as the settings in the file say
    line = "after 50 agent steps, stopped before the game was over; breakout.mp4"
    assert line in capsys.readouterr().out
    assert (tmp_path / "breakout.mp4").stat().st_size > 0


def test_the_seed_chooses_the_game():
    def ending(seed):
        return list(random_game(seed=seed).pictures())[-1].tobytes()

    assert ending(3) == ending(3)
    assert ending(3) != ending(4)


def test_two_emulators_that_come_apart_are_noticed(monkeypatch):
    made = []

    def apart(games, lanes, settings, **view):
        made.append(view)
        changes = {"noop_min": 20, "noop_max": 20} if view else {"noop_min": 1, "noop_max": 1}
        return make_env(games, lanes, settings.model_copy(update=changes), **view)

    monkeypatch.setattr(play, "make_env", apart)
    with pytest.raises(RuntimeError, match="the pictures of breakout came apart"):
        list(random_game().pictures())
    assert len(made) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the following arguments are required: checkpoint"),
        (["RUN"], "--game is missing; allowed: pong, breakout"),
        (["RUN", "--game", "boxing"], "game is 'boxing'; allowed: pong, breakout"),
        (["RUN", "--game", "pong", "--epsilon", "2"], "--epsilon is 2.0; allowed: 0 to 1"),
        (["RUN", "--game", "pong", "--seed", "-1"], "--seed is -1; allowed: 0 or more"),
        (["RUN", "--max-agent-steps", "0"], "--max-agent-steps is 0; allowed: 1 or more"),
        (["RUN", "--out", "x.avi"], "--out is x.avi; allowed: a name that ends in .mp4 or .gif"),
        (["RUN", "--game", "pong", "--out", "/proc/x/pong.mp4"], "/proc/x"),
        (["nowhere"], "nowhere"),
        (["RUN", "--gmae", "pong"], "unrecognized arguments: --gmae"),
    ],
)
def test_mistakes_end_in_one_line_and_exit_code_2(checkpoint, capsys, words, message):
    words = [str(checkpoint) if word == "RUN" else word for word in words]
    assert play.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert message in err


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_an_earlier_video_stays_until_the_new_one_is_whole(
    checkpoint, tmp_path, capfd, monkeypatch, suffix
):
    out = tmp_path / f"pong{suffix}"
    words = [str(checkpoint), "--game", "pong", "--out", str(out), "--max-agent-steps", "9"]
    assert play.main(words) == 0
    before = out.read_bytes()
    capfd.readouterr()
    whole = play.Game.pictures

    def interrupted(game):
        pictures = whole(game)
        yield next(pictures)
        yield next(pictures)
        raise KeyboardInterrupt

    monkeypatch.setattr(play.Game, "pictures", interrupted)
    assert play.main(words) == 130
    assert out.read_bytes() == before
    assert list(tmp_path.iterdir()) == [out]
    assert capfd.readouterr() == ("", "")


def test_only_videos_are_written(tmp_path):
    (tmp_path / "x.gif").mkdir()
    with pytest.raises(ValueError, match=r"--out is .*x\.gif, a folder; allowed: a file"):
        play.record(tmp_path / "x.gif", iter([]), 15)
    with pytest.raises(ValueError, match=r"allowed: a name that ends in \.mp4 or \.gif"):
        play.record(tmp_path / "x.avi", iter([]), 15)
