"""Where a training keeps its rings, and what a checkpoint makes of them and of weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from test_training import make_learner, run_training, settings, weights

from actormimic.checkpoint import CheckpointStore
from actormimic.faults import Diverged
from actormimic.learners.batches import ring_names
from actormimic.replay import ReplayRing, list_rings
from actormimic.replay_command import main
from actormimic.training import Training, _gathers_on_device


def newest_ring(folder: Path) -> Path:
    return CheckpointStore(folder / "checkpoints", 2).newest().path("ring-breakout.bin")


def test_an_inspector_joins_the_rings_of_a_live_run(tmp_path: Path, capsys):
    folder = str(tmp_path / "a run")
    run = settings("actor_mimic", replay={"shared": True}, folder=folder)
    names = ring_names(Path(folder), run.games)
    assert names[0].startswith("a_run-")
    assert set(names).isdisjoint(ring_names(tmp_path / "other", run.games))
    training = Training(run, make_learner(run))
    steps = training.steps()
    for _ in range(15):
        next(steps)
    assert set(names) <= set(list_rings())
    with ReplayRing.attach(name=names[1]) as joined:
        own = training.rings[1]
        assert len(joined) == len(own) > 0
        np.testing.assert_array_equal(
            joined.sample(16, seed=3)["obs"], own.sample(16, seed=3)["obs"]
        )
    assert main(["--inspect", names[0]]) == 0
    assert "extra expert_q: float32 (18,)" in capsys.readouterr().out
    training.close()
    assert set(names).isdisjoint(list_rings())


def test_what_is_stored_is_what_was_played_and_what_came_of_it():
    """Clipped rewards with their steps, cut episodes with their last frame; returns unclipped."""
    run = settings(
        games=["space_invaders"],
        environment={"num_envs": 2, "max_emulator_frames": 400},
        training={"agent_steps": 700, "learn_start": 696},
        replay={"capacity": 4000},
        exploration={"start": 1.0, "end": 1.0, "anneal_agent_steps": 0},
    )
    training = Training(run, make_learner(run))
    send, recv = training.env.send, training.env.recv
    sent, played, cut, returns, running = [], set(), set(), [], np.zeros(2)

    def record_sent(actions):
        sent.append(actions)
        send(actions)

    def record_received():
        before = training._frames
        after, rewards, terminated, truncated, infos = results = recv()
        for lane in np.flatnonzero(~infos["autoreset"]):
            clipped = min(max(int(rewards[lane]), -1), 1)
            key = (before[lane].tobytes(), int(sent[-1][lane]), clipped, bool(terminated[lane]))
            played.add((*key, after[lane].tobytes()))
            if truncated[lane]:
                cut.add((*key, after[lane].tobytes()))
            running[lane] += rewards[lane]
            if infos["game_over"][lane] or truncated[lane]:
                returns.append(float(running[lane]))
                running[lane] = 0
        return results

    training.env.send, training.env.recv = record_sent, record_received
    for _ in training.steps():
        pass
    batch = training.rings[0].sample(4000, seed=1)
    training.close()
    sampled = set()
    for obs, action, reward, terminal, after in zip(
        *(batch[name] for name in ("obs", "actions", "rewards", "terminals", "next_obs")),
        strict=True,
    ):
        key = (obs.tobytes(), int(action), int(reward), bool(terminal))
        if not terminal:
            sampled.add((*key, after.tobytes()))
    assert sampled
    assert sampled <= played
    assert sampled & cut
    assert {reward for _, _, reward, _, _ in sampled} == {0, 1}
    assert training.finished == [returns]
    assert max(returns) > 1


def test_rings_that_a_killed_run_left_are_replaced(tmp_path: Path):
    run = settings(replay={"shared": True}, folder=str(tmp_path))
    (name,) = ring_names(tmp_path, run.games)
    ReplayRing(64, 2, frame_shape=(3, 2), name=name)
    training = Training(run, make_learner(run))
    assert training.rings[0].frame_shape == (84, 84)
    training.close()


def test_rings_that_find_no_room_leave_none_behind(tmp_path: Path, monkeypatch):
    run = settings("actor_mimic", replay={"shared": True}, folder=str(tmp_path))
    names = ring_names(tmp_path, run.games)
    made = []

    def full(*shape, name, **keywords):
        if made:
            raise OSError(28, "No space left on device", name)
        made.append(name)
        return ReplayRing(*shape, name=name, **keywords)

    monkeypatch.setattr("actormimic.learners.batches.ReplayRing", full)
    with pytest.raises(OSError, match="No space left"):
        Training(run, make_learner(run))
    assert made == names[:1]
    assert set(names).isdisjoint(list_rings())


def test_a_training_that_cannot_begin_leaves_no_rings_behind(tmp_path: Path, monkeypatch):
    run = settings(replay={"shared": True}, folder=str(tmp_path))

    def no_room(*_):
        raise RuntimeError("out of memory")

    monkeypatch.setattr("actormimic.training._make_updates", no_room)
    with pytest.raises(RuntimeError, match="out of memory"):
        Training(run, make_learner(run))
    assert set(ring_names(tmp_path, run.games)).isdisjoint(list_rings())


def test_where_the_newest_checkpoint_is_damaged_the_one_before_leads_to_the_same(
    tmp_path: Path, capfd
):
    run = settings(checkpoint={"keep": 2})
    whole, again = make_learner(run), make_learner(run)
    run_training(run, whole, tmp_path)
    _, newest = sorted((tmp_path / "checkpoints").iterdir())
    (newest / "values.json").write_text("{}")
    run_training(run, again, tmp_path)
    assert f"checkpoint {newest} is damaged" in capfd.readouterr().err
    assert weights(again) == weights(whole)


def test_a_run_ends_well_whose_rings_were_removed_meanwhile(tmp_path: Path):
    run = settings("actor_mimic", replay={"shared": True}, folder=str(tmp_path))
    training = Training(run, make_learner(run))
    names = ring_names(tmp_path, run.games)
    assert main(["--remove", names[0]]) == 0
    next(training.steps())
    training.close()
    assert set(names).isdisjoint(list_rings())


@pytest.mark.parametrize("reason", [None, "actormimic was built without CUDA"])
def test_a_gpu_without_the_kernels_gets_its_batches_from_the_host(reason, monkeypatch):
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    monkeypatch.setattr("actormimic.training.why_no_cuda_kernels", {gpu: reason}.__getitem__)
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (10_000, 20_000))
    assert _gathers_on_device("auto", gpu, 8_000) == (reason is None)
    assert not _gathers_on_device("auto", cpu, 8_000)
    for device in (cpu, gpu):
        assert _gathers_on_device("device", device, 8_000)
        assert not _gathers_on_device("host", device, 8_000)


def test_rings_that_a_gpu_has_no_room_for_stay_on_the_host(monkeypatch):
    monkeypatch.setattr("actormimic.training.why_no_cuda_kernels", lambda device: None)
    monkeypatch.setattr("torch.cuda.mem_get_info", lambda device: (10 * 10**9, 80 * 10**9))
    gpu = torch.device("cuda")
    assert _gathers_on_device("auto", gpu, 8 * 10**9)
    assert not _gathers_on_device("auto", gpu, 8 * 10**9 + 1)
    message = (
        "the rings take 9.0 GB and cuda has room for 8.0 GB; allowed: host, auto, or a smaller"
    )
    with pytest.raises(ValueError, match=message):
        _gathers_on_device("device", gpu, 9 * 10**9)
    assert _gathers_on_device("device", torch.device("cpu"), 9 * 10**9)


def test_where_the_rings_lie_changes_nothing_that_is_learned(tmp_path: Path):
    ends = []
    for shared in (False, True):
        run = settings(replay={"shared": shared}, folder=str(tmp_path / str(shared)))
        learner = make_learner(run)
        run_training(run, learner, tmp_path / str(shared))
        ends.append(weights(learner))
    assert ends[0] == ends[1]


def test_compressed_rings_are_smaller_and_come_back_the_same(tmp_path: Path):
    sizes, ends = [], []
    for compress in (False, True):
        folder = tmp_path / str(compress)
        for agent_steps in (60, 90):  # the second one goes on from the first one's rings
            run = settings(
                training={"agent_steps": agent_steps}, checkpoint={"compress_rings": compress}
            )
            learner = make_learner(run)
            run_training(run, learner, folder)
        sizes.append(newest_ring(folder).stat().st_size)
        ends.append(weights(learner))
    assert sizes[1] < sizes[0] / 4
    assert ends[0] == ends[1]


def test_a_damaged_ring_is_refused_by_the_checksum_of_its_own(tmp_path: Path):
    run = settings()
    run_training(run, make_learner(run), tmp_path)
    ring = newest_ring(tmp_path)
    content = bytearray(ring.read_bytes())
    content[len(content) // 2] ^= 1
    ring.write_bytes(content)
    later = settings(training={"agent_steps": 120})
    with pytest.raises(ValueError, match=r"checkpoint .* is damaged: '.*ring-breakout.bin' is dam"):
        run_training(later, make_learner(later), tmp_path)


def test_labels_of_an_expert_that_has_changed_since_are_refused(tmp_path: Path):
    run = settings("actor_mimic")
    run_training(run, make_learner(run), tmp_path)
    longer = settings("actor_mimic", training={"agent_steps": 90})
    learner = make_learner(longer)
    parameter = next(learner.experts._experts[1].network.parameters())
    parameter.data[0] += 1e-3
    before = weights(learner)
    message = f"the experts of {longer.games[1]} are not those whose labels are in "
    with pytest.raises(ValueError, match=message):
        run_training(longer, learner, tmp_path)
    assert weights(learner) == before, "nothing is loaded"
    run_training(longer, make_learner(longer), tmp_path)


def test_weights_that_are_not_finite_replace_no_checkpoint(tmp_path: Path):
    run = settings("actor_mimic", folder=str(tmp_path))
    training = Training(run, make_learner(run))
    store = CheckpointStore(tmp_path / "checkpoints", 1)
    next(training.steps())
    sound = training.save(store, {})
    with torch.no_grad():
        next(training.learner.modules()["network"].parameters())[0, 0, 0, 0] = torch.inf
    next(training.steps())
    with pytest.raises(Diverged, match=r"network\.\S+ is not finite by agent step"):
        training.save(store, {})
    assert store.newest().folder == sound
    training.close()
