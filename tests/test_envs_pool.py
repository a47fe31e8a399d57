"""The pool's life: asynchronous batches, the caller's buffers, saved states, mistakes, shutdown."""

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ale_py import roms

from actormimic.envs import AtariVectorEnv


def noops(env: AtariVectorEnv) -> np.ndarray:
    return np.zeros(env.batch_size, dtype=np.int64)


def run_python(code: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    program = textwrap.dedent("import numpy as np\nfrom actormimic.envs import AtariVectorEnv\n")
    return subprocess.run(
        [sys.executable, "-c", program + textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def test_asynchronous_results_are_those_of_a_synchronous_pool() -> None:
    sync = AtariVectorEnv("breakout", 5)
    asynchronous = AtariVectorEnv("breakout", 5, batch_size=2)
    expected = [sync.reset(seed=1)[0]]
    for _ in range(200):
        expected.append(sync.step(np.ones(5, dtype=np.int64))[0])
    obs, infos = asynchronous.reset(seed=1)
    steps = np.zeros(5, dtype=int)
    while True:
        for row, env_id in enumerate(infos["env_id"]):
            np.testing.assert_array_equal(obs[row], expected[steps[env_id]][env_id])
            steps[env_id] += 1
        if steps.max() > 200 or steps.min() > 20:
            break
        asynchronous.send(np.ones(2, dtype=np.int64))
        obs, _, _, _, infos = asynchronous.recv()
    assert steps.sum() > 20
    # A full reset while steps are under way starts everything anew.
    again, infos = asynchronous.reset(seed=1)
    for row, env_id in enumerate(infos["env_id"]):
        np.testing.assert_array_equal(again[row], expected[0][env_id])
    sync.close()
    asynchronous.close()


@pytest.mark.parametrize("batch_size", [0, 2])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_batches_are_used_in_turn(batch_size: int, count: int) -> None:
    env = AtariVectorEnv("pong", 4, batch_size=batch_size)
    batches = [env.make_batch() for _ in range(count)]
    env.use_batches(batches)
    obs, _ = env.reset(seed=0)
    seen = [obs]
    for _ in range(5):
        seen.append(env.step(noops(env))[0])
    if batch_size == 0:
        for i, obs in enumerate(seen):
            assert obs is batches[i % count].obs or np.shares_memory(obs, batches[i % count].obs)
    assert all(any(np.shares_memory(o, b.obs) for b in batches) for o in seen)
    with pytest.raises(ValueError, match="exclude each other"):
        env.step(noops(env), out=batches[0])
    env.send(noops(env))
    env.recv()
    if batch_size == 0:
        env.use_batches([])
        assert not np.shares_memory(env.step(noops(env))[0], batches[0].obs)
    env.close()


def test_memory_of_the_caller() -> None:
    torch = pytest.importorskip("torch")
    env = AtariVectorEnv("pong", 2)
    reference = AtariVectorEnv("pong", 2)
    tensor = torch.zeros(2, 4, 84, 84, dtype=torch.uint8)
    lives = np.full(2, -1, dtype=np.int32)
    batch = env.make_batch(obs=tensor, lives=lives)
    env.reset(seed=3)
    reference.reset(seed=3)
    result = env.step(noops(env), out=batch)
    expected = reference.step(noops(env))
    np.testing.assert_array_equal(tensor.numpy(), expected[0])
    assert np.shares_memory(result[0], tensor.numpy())
    np.testing.assert_array_equal(lives, expected[4]["lives"])
    np.testing.assert_array_equal(batch.rewards, expected[1])
    np.testing.assert_array_equal(batch["frame_number"], expected[4]["frame_number"])
    fresh = env.step(noops(env))[0]
    assert not np.shares_memory(fresh, tensor.numpy())
    env.close()


def test_a_batch_is_checked() -> None:
    env = AtariVectorEnv("pong", 2)
    good = np.zeros((2, 4, 84, 84), dtype=np.uint8)
    with pytest.raises(TypeError, match="obs must be a NumPy array of dtype uint8"):
        env.make_batch(obs=good.astype(np.int32))
    with pytest.raises(
        ValueError, match=r"obs must have shape \(2, 4, 84, 84\), got \(4, 84, 84\)"
    ):
        env.make_batch(obs=good[0])
    with pytest.raises(ValueError, match="obs must be C-contiguous"):
        env.make_batch(obs=good[..., ::-1])
    with pytest.raises(ValueError, match="no array 'observations'"):
        env.make_batch(observations=good)
    good.flags.writeable = False
    with pytest.raises(ValueError, match="obs must be writable"):
        env.make_batch(obs=good)
    other = AtariVectorEnv("pong", 3)
    env.reset()
    for use in (lambda b: env.use_batches([b]), lambda b: env.step(noops(env), out=b)):
        with pytest.raises(ValueError, match="pool of another shape"):
            use(other.make_batch())
    env.step(noops(env))
    env.send(noops(env))
    with pytest.raises(RuntimeError, match="steps under way"):
        env.use_batches([env.make_batch()])
    asynchronous = AtariVectorEnv("pong", 2, batch_size=1)
    asynchronous.reset()
    with pytest.raises(ValueError, match="out= needs a synchronous pool"):
        asynchronous.step(noops(asynchronous), out=asynchronous.make_batch())


@pytest.mark.parametrize("game", ["breakout", "pong", "pitfall2", "tic_tac_toe_3d"])
def test_a_restored_pool_goes_on_bit_for_bit(game: str) -> None:
    settings: dict[str, Any] = {"repeat_action_probability": 0.25, "ram": True}
    first = AtariVectorEnv(game, 2, **settings)
    second = AtariVectorEnv(game, 2, **settings)
    first.reset(seed=7)
    rng = np.random.default_rng(0)
    actions = rng.integers(0, first.single_action_space.n, (150, 2))
    for t in range(50):
        first.step(actions[t])
    state = first.clone_state()
    expected = [first.step(a) for a in actions[50:]]
    second.restore_state(state)
    first.restore_state(state)
    for pool in (first, second):
        if pool is second:
            assert pool.clone_state() == state
        for t, a in enumerate(actions[50:]):
            obs, rewards, _, _, infos = pool.step(a)
            np.testing.assert_array_equal(obs, expected[t][0])
            np.testing.assert_array_equal(rewards, expected[t][1])
            np.testing.assert_array_equal(infos["ram"], expected[t][4]["ram"])
            np.testing.assert_array_equal(infos["lives"], expected[t][4]["lives"])
    first.close()
    second.close()


def test_a_state_of_another_pool_is_refused() -> None:
    env = AtariVectorEnv("pong", 2)
    with pytest.raises(RuntimeError, match="before reset"):
        env.clone_state()
    env.reset(seed=0)
    state = env.clone_state()
    for other, message in [
        (AtariVectorEnv("pong", 1), "2 environments in batches of 2; this one has 1"),
        (AtariVectorEnv("boxing", 2), "plays pong; here it plays boxing"),
        (AtariVectorEnv("pong", 2, stack_num=3), "of another size|newest frame|made with other"),
    ]:
        with pytest.raises(ValueError, match=message):
            other.restore_state(state)
        other.close()
    with pytest.raises(ValueError, match="not a saved pool"):
        env.restore_state(b"abcdefgh" * 9)
    with pytest.raises(ValueError, match="cut short"):
        env.restore_state(state[:-1])
    with pytest.raises(ValueError, match="bytes too many"):
        env.restore_state(state + b"!")
    with pytest.raises(ValueError, match="version"):
        env.restore_state(state[:4] + b"\xff" + state[5:])
    env.close()


@pytest.mark.parametrize("registered", [False, True])
@pytest.mark.parametrize("batch_size", [0, 2])
def test_a_state_holds_the_results_under_way(batch_size: int, registered: bool) -> None:
    settings: dict[str, Any] = {"num_envs": 5, "batch_size": batch_size, "num_threads": 1}
    first = AtariVectorEnv("breakout", **settings, autoreset_mode="SameStep", episodic_life=True)
    second = AtariVectorEnv("breakout", **settings, autoreset_mode="SameStep", episodic_life=True)
    first.reset(seed=3)
    for _ in range(7):
        first.step(noops(first))
    first.send(noops(first) + 1)
    state = first.clone_state()
    if registered:
        second.use_batches([second.make_batch() for _ in range(3 if batch_size else 1)])
    second.restore_state(state)
    for _ in range(20):
        expected, got = first.recv(), second.recv()
        for a, b in zip(expected[:4], got[:4], strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(expected[4]["env_id"], got[4]["env_id"])
        first.send(noops(first) + 1)
        second.send(noops(second) + 1)
    first.close()
    second.close()


@pytest.mark.parametrize(
    ("actions", "error", "message"),
    [
        (np.array([0, 99]), ValueError, r"action 99 of env 1 \(pong\) is out of range \[0, 6\)"),
        (np.array([-1, 0]), ValueError, r"action -1 of env 0 \(pong\) is out of range"),
        (np.array([2**40, 0]), ValueError, "is out of range"),
        (np.array([0]), ValueError, r"actions must have shape \(2,\), got \(1,\)"),
        (np.array([[0, 0]]), ValueError, "actions must have shape"),
        (np.array([0.0, np.nan]), TypeError, "dtype int32 or int64, got float64"),
        (np.array([0, 1], dtype=np.uint8), TypeError, "dtype int32 or int64, got uint8"),
        ([0, 0], TypeError, "actions must be a NumPy array"),
    ],
)
def test_actions_are_checked_before_anything_moves(
    actions: Any, error: type[Exception], message: str
) -> None:
    env = AtariVectorEnv("pong", 2)
    _, infos = env.reset(seed=0)
    before = infos["frame_number"].copy()
    with pytest.raises(error, match=message):
        env.step(actions)
    infos = env.step(np.zeros(2, dtype=np.int32))[4]
    np.testing.assert_array_equal(infos["frame_number"], before + 4)
    env.close()


def test_continuous_actions_are_checked() -> None:
    env = AtariVectorEnv("pong", 1, continuous=True)
    env.reset(seed=0)
    for stick, message in [
        ([np.nan, 0, 0], "action nan in row 0 is out of range; allowed for radius: 0.0 to 1.0"),
        ([0.5, 4, 0], "action 4.0 in row 0 is out of range; allowed for angle"),
        ([0.5, 0, -1], "allowed for fire"),
    ]:
        with pytest.raises(ValueError, match=message):
            env.step(np.array([stick], dtype=np.float32))
    with pytest.raises(ValueError, match=r"shape \(1, 3\), got \(3,\)"):
        env.step(np.zeros(3, dtype=np.float32))
    with pytest.raises(TypeError, match="dtype float32, got float64"):
        env.step(np.zeros((1, 3)))
    env.step(np.array([[1, 1, 1]], dtype=np.float32))
    env.close()


def test_calls_out_of_turn() -> None:
    env = AtariVectorEnv("pong", 2)
    for call in (env.recv, lambda: env.send(noops(env))):
        with pytest.raises(RuntimeError, match="before reset"):
            call()
    env.reset()
    with pytest.raises(RuntimeError, match="nothing to wait for"):
        env.recv()
    env.send(noops(env))
    with pytest.raises(RuntimeError, match="call recv"):
        env.send(noops(env))
    with pytest.raises(RuntimeError, match="steps under way"):
        env.reset(options={"reset_mask": np.array([True, False])})
    env.recv()
    env.close()
    for call in (env.recv, lambda: env.send(noops(env)), env.reset, env.clone_state):
        with pytest.raises(RuntimeError, match="the pool is closed"):
            call()
    env.close()


def test_a_failure_names_the_environment(tmp_path: Path, monkeypatch: Any) -> None:
    rom = tmp_path / "pong.bin"
    rom.write_bytes(Path(str(roms.get_rom_path("pong"))).read_bytes())
    monkeypatch.setattr(roms, "get_rom_path", lambda name: rom)
    env = AtariVectorEnv("pong", 2)
    image = rom.read_bytes()
    rom.unlink()
    with pytest.raises(RuntimeError, match=r"env [01] \(pong\) failed: ROM file .* has gone"):
        env.reset(seed=0)
    with pytest.raises(RuntimeError, match="failed"):
        env.step(noops(env))
    rom.write_bytes(image)
    env.reset(seed=0)
    env.step(noops(env))
    env.close()
    rom.write_bytes(b"not a game")
    monkeypatch.setattr(roms, "get_rom_path", lambda name: tmp_path / "nothing.bin")
    with pytest.raises(ValueError, match=r"env 0 \(pong\): ROM file .* cannot be read"):
        AtariVectorEnv("pong", 1)


@pytest.mark.parametrize("finish", ["close", "collect"])
def test_shutdown_in_mid_step(finish: str) -> None:
    for batch_size in (0, 2):
        env = AtariVectorEnv("pong", 6, batch_size=batch_size)
        env.reset()
        env.send(noops(env))
        alive = weakref.ref(env.ale)
        if finish == "close":
            env.close()
        del env
        gc.collect()
        assert alive() is None


def test_close_wakes_another_threads_recv() -> None:
    env = AtariVectorEnv("pong", 2, num_threads=1, frameskip=500)
    env.reset()
    env.send(noops(env))
    problems: list[BaseException] = []

    def wait() -> None:
        try:
            env.recv()
        except RuntimeError as problem:
            problems.append(problem)

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.01)
    env.close()
    thread.join(20)
    assert not thread.is_alive()
    assert [str(p) for p in problems] == ["the pool is closed"]


def test_control_c_ends_a_wait() -> None:
    env = AtariVectorEnv("pong", 4, num_threads=1, frameskip=1000)
    env.reset()
    env.send(noops(env))
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    started = time.monotonic()

    def play_on() -> None:
        while True:
            env.recv()
            env.send(noops(env))

    with pytest.raises(KeyboardInterrupt):
        play_on()
    # It ended while the pool went on, not with it.
    env.recv()
    assert time.monotonic() - started < 30
    env.close()


def test_a_fork_is_refused_and_does_not_hang() -> None:
    result = run_python(
        """
        import os, gc
        env = AtariVectorEnv("pong", 4)
        env.reset()
        env.send(np.zeros(4, dtype=int))
        child = os.fork()
        if child == 0:
            code = 1
            try:
                env.recv()
            except RuntimeError as problem:
                code = 0 if "did not survive the fork" in str(problem) else 2
            env.close()
            del env
            gc.collect()
            os._exit(code)
        _, status = os.waitpid(child, 0)
        env.recv()
        env.close()
        raise SystemExit(os.waitstatus_to_exitcode(status))
        """
    )
    assert result.returncode == 0, result.stderr


def test_exit_of_the_interpreter_in_mid_step() -> None:
    result = run_python(
        """
        env = AtariVectorEnv("pong", 8)
        env.reset()
        env.send(np.zeros(8, dtype=int))
        """
    )
    assert result.returncode == 0, result.stderr


def test_three_hundred_environments() -> None:
    env = AtariVectorEnv("pong", 300, noop_max=0, batch_size=100, frameskip=1)
    _, infos = env.reset()
    assert infos["env_id"].shape == (100,)
    env.step(noops(env))
    env.close()


def test_works_under_a_spawned_process() -> None:
    with multiprocessing.get_context("spawn").Pool(1) as workers:
        assert workers.apply(_frames_after_a_step) == 4


def _frames_after_a_step() -> int:
    with AtariVectorEnv("pong", 1, noop_max=0, use_fire_reset=False) as env:
        env.reset(seed=0)
        return int(env.step(np.zeros(1, dtype=np.int64))[4]["episode_frame_number"][0])
