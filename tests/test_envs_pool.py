"""The pool's batches: asynchronous ones, the caller's buffers, and mistakes by name."""

import contextlib
import multiprocessing
import threading
import time
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ale_py import roms

from actormimic.envs import AtariVectorEnv


def noops(env: AtariVectorEnv) -> np.ndarray:
    return np.zeros(env.batch_size, dtype=np.int64)


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


def test_what_is_written_over_a_batch_does_not_lead_the_pool_astray() -> None:
    """The pool knows whose its results are; env_id is only told to the caller."""
    pools = [AtariVectorEnv(["breakout", "pong"], 2, full_action_space=True) for _ in range(2)]
    batches = [env.make_batch() for env in pools]
    for env, batch in zip(pools, batches, strict=True):
        env.use_batches([batch])
        env.reset(seed=0)
    for _ in range(20):
        batches[0]["env_id"][:] = [1_000_000, -1]
        for env in pools:
            env.send(noops(env))
        batches[0]["env_id"][:] = [1, 0]
        for env in pools:
            env.recv()
        np.testing.assert_array_equal(batches[0].obs, batches[1].obs)
    for env in pools:
        env.close()


def test_a_second_thread_is_refused_and_harms_nothing() -> None:
    slow = {"emulation": "stock", "frameskip": 1000}
    env, alone = (AtariVectorEnv("pong", 2, **slow) for _ in range(2))
    for each in (env, alone):
        each.reset(seed=0)
    received: list[Any] = []

    def receive() -> None:
        while not received:
            with contextlib.suppress(RuntimeError):  # the other thread came first
                received.append(env.recv())

    refused = 0
    while refused == 0:  # again, should the step have been through before the calls came
        for each in (env, alone):
            each.send(noops(each))
        received.clear()
        thread = threading.Thread(target=receive)
        thread.start()
        while thread.is_alive():
            for call in (env.clone_state, lambda: env.use_batches([])):
                try:
                    call()
                except RuntimeError as error:
                    refused += "in use by another thread: one call at a time" in str(error)
            time.sleep(0.01)
        np.testing.assert_array_equal(received[0][0], alone.recv()[0])
    for each in (env, alone):
        each.close()


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


@pytest.mark.parametrize(
    "kind", ["NumPy", "torch", "shared memory", pytest.param("pinned", marks=pytest.mark.cuda)]
)
def test_memory_of_the_caller(kind: str, request: Any) -> None:
    shape = (2, 4, 84, 84)
    memory: Any = np.zeros(shape, dtype=np.uint8)
    if kind in ("torch", "pinned"):
        torch = pytest.importorskip("torch")
        memory = torch.zeros(shape, dtype=torch.uint8, pin_memory=kind == "pinned")
    elif kind == "shared memory":
        block = shared_memory.SharedMemory(create=True, size=memory.nbytes)
        request.addfinalizer(block.unlink)
        memory = np.ndarray(shape, dtype=np.uint8, buffer=block.buf)
    env = AtariVectorEnv("pong", 2)
    reference = AtariVectorEnv("pong", 2)
    lives = np.full(2, -1, dtype=np.int32)
    batch = env.make_batch(obs=memory, lives=lives)
    env.reset(seed=3)
    reference.reset(seed=3)
    result = env.step(noops(env), out=batch)
    expected = reference.step(noops(env))
    np.testing.assert_array_equal(np.asarray(memory), expected[0])
    assert np.shares_memory(result[0], np.asarray(memory))
    np.testing.assert_array_equal(lives, expected[4]["lives"])
    np.testing.assert_array_equal(batch.rewards, expected[1])
    np.testing.assert_array_equal(batch["frame_number"], expected[4]["frame_number"])
    fresh = env.step(noops(env))[0]
    assert not np.shares_memory(fresh, np.asarray(memory))
    env.close()
    reference.close()


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
    for copied in ([False, False], (False, False)):
        with pytest.raises(TypeError, match=r"truncations is a (list|tuple), which numpy can only"):
            env.make_batch(truncations=copied)
    unaligned = np.zeros(9, dtype=np.uint8)[1:].view(np.int32)
    with pytest.raises(ValueError, match="lives must be aligned to 4 bytes"):
        env.make_batch(lives=unaligned)
    numbers = np.zeros(3, dtype=np.int32)
    with pytest.raises(ValueError, match=r"(lives|rewards) of batch 0 and .* share memory"):
        env.make_batch(lives=numbers[:2], rewards=numbers[1:])
    batch = env.make_batch(obs=good)
    for twice in (batch, env.make_batch(obs=good)):
        with pytest.raises(ValueError, match=r"of batch \d and \w+ of batch \d share memory"):
            env.use_batches([batch, twice])
    with pytest.raises(TypeError, match="takes batches, got None"):
        env.use_batches([None])  # type: ignore[list-item]
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
        (np.array([0, 1], dtype=">i4"), TypeError, "dtype int32 or int64, got >i4"),
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


def test_actions_of_any_layout_are_read_as_they_are() -> None:
    layouts = [AtariVectorEnv("pong", 3) for _ in range(3)]
    plain = np.array([2, 3, 2])
    unaligned = np.zeros(25, dtype=np.uint8)[1:].view(np.int64)
    unaligned[:] = plain
    strided = np.repeat(plain, 2)[::2]
    for env in layouts:
        env.reset(seed=0)
    for _ in range(20):
        obs = [env.step(a)[0] for env, a in zip(layouts, (plain, unaligned, strided), strict=True)]
    np.testing.assert_array_equal(obs[0], obs[1])
    np.testing.assert_array_equal(obs[0], obs[2])
    for env in layouts:
        env.close()


@pytest.mark.parametrize(
    ("strengths", "error", "message"),
    [
        (np.array([1, np.nan], dtype=np.float32), ValueError, r"strength nan of env 1 \(pong\)"),
        (np.array([1.5, 1], dtype=np.float32), ValueError, r"1.5 of env 0 .*allowed: 0 to 1"),
        (np.array([-0.1, 1], dtype=np.float32), ValueError, "is out of range"),
        (np.ones(3, dtype=np.float32), ValueError, r"strengths must have shape \(2,\), got \(3,\)"),
        (np.ones((2, 1), dtype=np.float32), ValueError, "strengths must have shape"),
        (np.ones(2), TypeError, "strengths must be an array of dtype float32"),
        ([1.0, 1.0], TypeError, "strengths must be an array of dtype float32"),
    ],
)
def test_strengths_are_checked_before_anything_moves(
    strengths: Any, error: type[Exception], message: str
) -> None:
    env = AtariVectorEnv("pong", 2, continuous=True)
    env.reset(seed=0)
    with pytest.raises(error, match=message):
        env.ale.send(noops(env), strengths, None)
    with pytest.raises(RuntimeError, match="nothing to wait for"):
        env.recv()
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
    get_rom_path = roms.get_rom_path
    rom.write_bytes(Path(str(get_rom_path("pong"))).read_bytes())
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
    rom.write_bytes(Path(str(get_rom_path("breakout"))).read_bytes())
    with pytest.raises(RuntimeError, match=r"env [01] \(pong\) failed: .* has gone or changed"):
        env.reset(seed=0)
    env.close()
    rom.write_bytes(b"not a game")
    monkeypatch.setattr(roms, "get_rom_path", lambda name: tmp_path / "nothing.bin")
    with pytest.raises(ValueError, match=r"env 0 \(pong\): ROM file .* cannot be read"):
        AtariVectorEnv("pong", 1)


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
