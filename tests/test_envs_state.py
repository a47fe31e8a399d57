"""Saved pools: they go on bit for bit; bytes that are not whole or not theirs change nothing."""

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from test_envs_pool import noops

from actormimic.envs import AtariVectorEnv
from actormimic.games import MULTITASK_GAMES

PREFIX = struct.Struct("<4sIIQ")  # magic, version, CRC-32 and size of what follows


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


def test_the_games_of_table_1_go_on_bit_for_bit() -> None:
    """benchmarks/exact_restore.py does it for 100,000 agent steps per game."""
    settings: dict[str, Any] = {"repeat_action_probability": 0.25, "ram": True}
    count = len(MULTITASK_GAMES)
    first = AtariVectorEnv(MULTITASK_GAMES, count, full_action_space=True, **settings)
    second = AtariVectorEnv(MULTITASK_GAMES, count, full_action_space=True, **settings)
    first.reset(seed=2)
    rng = np.random.default_rng(1)
    for _ in range(40):
        first.step(rng.integers(0, 18, count))
    second.restore_state(first.clone_state())
    over = np.zeros(count, bool)
    for _ in range(250):
        actions = rng.integers(0, 18, count)
        (*expected, infos), (*got, other_infos) = first.step(actions), second.step(actions)
        for a, b in zip(expected, got, strict=True):
            np.testing.assert_array_equal(a, b)
        assert infos.keys() == other_infos.keys()
        for key, value in infos.items():
            np.testing.assert_array_equal(value, other_infos[key], err_msg=key)
        over |= expected[2]
    assert over.any()  # a reset draws from the restored generators
    assert first.clone_state() == second.clone_state()
    first.close()
    second.close()


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


def test_results_under_way_and_the_last_batch_fit_together() -> None:
    """Of five environments in batches of two: none is received and under way at once."""
    settings: dict[str, Any] = {"num_envs": 5, "batch_size": 2}
    with AtariVectorEnv("pong", **settings) as env, AtariVectorEnv("pong", **settings) as other:
        env.reset(seed=0)  # and receives the first batch, so that three results are left
        env.recv()
        state = env.clone_state()
        other.restore_state(state)
        assert other.clone_state() == state
        *received, under_way, env_id = struct.unpack("<4i", state[-16:])
        assert under_way == 1
        assert env_id not in received
        twice = state[PREFIX.size : -4] + struct.pack("<i", received[1])
        with pytest.raises(ValueError, match=f"environment {received[1]} of the saved pool waits"):
            other.restore_state(sealed(twice))
        assert other.clone_state() == state


def sealed(body: bytes) -> bytes:
    """``body`` behind a prefix that fits it."""
    return PREFIX.pack(b"AMSP", 3, zlib.crc32(body), len(body)) + body


def strings_at(body: bytes, at: int, count: int) -> list[tuple[int, int]]:
    """Where ``count`` strings from ``at`` on begin and end."""
    found = []
    for _ in range(count):
        (size,) = struct.unpack_from("<Q", body, at)
        found.append((at + 8, at + 8 + size))
        at += 8 + size
    return found


def assert_goes_on_as(env: AtariVectorEnv, other: AtariVectorEnv) -> None:
    for t in range(10):
        for a, b in zip(env.step(noops(env) + t % 3), other.step(noops(env) + t % 3), strict=True):
            if isinstance(a, np.ndarray):
                np.testing.assert_array_equal(a, b)


def test_damaged_bytes_are_refused_and_change_nothing() -> None:
    settings: dict[str, Any] = {"repeat_action_probability": 0.25, "autoreset_mode": "SameStep"}
    env = AtariVectorEnv(["pong", "breakout"], 2, **settings)
    untouched = AtariVectorEnv(["pong", "breakout"], 2, **settings)
    env.reset(seed=1)
    untouched.reset(seed=1)
    state = env.clone_state()
    assert_goes_on_as(env, untouched)
    rng = np.random.default_rng(0)
    kinds = set()
    places = [*range(120), *rng.integers(0, len(state), 300).tolist(), len(state) - 1]
    for place in places:
        flipped = bytearray(state)
        flipped[place] ^= 1 << int(rng.integers(8))
        with pytest.raises(ValueError, match="saved pool") as problem:
            env.restore_state(bytes(flipped))
        assert "\n" not in str(problem.value)
        kinds.add(str(problem.value)[:25])
    assert len(kinds) == 4  # magic, version, checksum, size
    lengths = [*range(60), *rng.integers(60, len(state), 50).tolist(), len(state) - 1]
    for length in lengths:
        with pytest.raises(ValueError, match=r"not a saved pool|cut short"):
            env.restore_state(state[:length])
    with pytest.raises(ValueError, match="bytes too many"):
        env.restore_state(state + b"!")
    with pytest.raises(ValueError, match="not a saved pool"):
        env.restore_state(b"abcdefgh" * 9)
    with pytest.raises(ValueError, match="of version 2; this build reads version 3"):
        env.restore_state(state[:4] + struct.pack("<I", 2) + state[8:])
    with pytest.raises(TypeError):
        env.restore_state("state")  # type: ignore[arg-type]
    assert_goes_on_as(env, untouched)
    env.restore_state(state)
    untouched.restore_state(state)
    assert_goes_on_as(env, untouched)
    env.close()
    untouched.close()


def test_values_out_of_range_are_refused_and_change_nothing() -> None:
    """Bytes whose checksum fits but whose second environment makes no sense."""
    env = AtariVectorEnv("pong", 2)
    untouched = AtariVectorEnv("pong", 2)
    env.reset(seed=1)
    untouched.reset(seed=1)
    state = env.clone_state()
    assert_goes_on_as(env, untouched)
    body = state[PREFIX.size :]
    assert sealed(body) == state
    (facts,) = struct.unpack_from("<Q", body)
    *_, first, second = strings_at(body, 8, 2 * facts + 2)
    assert body[first[0] : first[1]] != body[second[0] : second[1]]
    rom, machine, counters = strings_at(body, second[0], 3)
    held = counters[1]
    pictures = 2 + 8 + 2 * 160 * 300 + 6 * 8
    (noops,) = strings_at(body, held + 8 + pictures, 1)
    for at, value, message in [
        (rom[0], b"?", "the saved state is of another game"),
        (machine[0] + 3, b"\x80", "damaged: length -"),
        (machine[0] + 4, b"?", "ALE cannot read it"),
        (noops[1] + 4, struct.pack("<i", 2000000001), "frames of the saved state is 2000000001"),
        (held, struct.pack("<i", 18), "held action of the saved state is 18; allowed: 0 to 17"),
        (held + 4, struct.pack("<f", float("nan")), "held strength of the saved state is nan"),
        (held + 8, b"\x02", "2 is no flag"),
        (held + 10, struct.pack("<q", -1), "offset -1 of"),
        (noops[1] - 3, b"625", "its generator cannot be read"),  # it has 624 numbers
        (second[1] - 8, struct.pack("<Q", 2**60), "frames of another size"),
        (second[0] - 8, struct.pack("<Q", 2**60), "cut short"),
        (second[1], b"\x07", "7 is no flag"),
        (second[1] + 1, struct.pack("<i", 2), "environment in the saved pool is 2"),
        (second[1] + 1, struct.pack("<i", 1), "environment 1 is twice"),
        (second[1] + 9, struct.pack("<i", 3), "results in the saved pool is 3"),
        (second[1] + 9, struct.pack("<2i", 1, 0), r"results in the saved pool is 1; allowed: what"),
        (second[1] + 9, struct.pack("<3i", 2, 0, 1), "0 of the saved pool waits for its action"),
        (second[1], b"\0", "0 of the saved pool has its action and no result under way"),
    ]:
        bad = body[:at] + value + body[at + len(value) :]
        with pytest.raises(ValueError, match=message):
            env.restore_state(sealed(bad))
    with pytest.raises(ValueError, match=r"env 1 \(pong\) of the saved pool"):
        env.restore_state(sealed(body[: rom[0]] + b"?" + body[rom[0] + 1 :]))
    with pytest.raises(ValueError, match="bytes too many"):
        env.restore_state(sealed(body + b"!"))
    assert_goes_on_as(env, untouched)
    env.close()
    untouched.close()


def test_a_pool_that_cannot_be_brought_back_refuses_to_go_on() -> None:
    """A console that counts more frames than it may have when it is loaded."""
    most = 2_000_000_000
    env = AtariVectorEnv("pong", 2)
    env.reset(seed=1)
    body = env.clone_state()[PREFIX.size :]
    (facts,) = struct.unpack_from("<Q", body)
    *_, first, second = strings_at(body, 8, 2 * facts + 2)

    def counting(frames: int, place: tuple[int, int]) -> bytes:
        *_, counters = strings_at(body, place[0], 3)
        at = counters[0] + 2 * 4  # behind two paddles
        return sealed(body[:at] + struct.pack("<i", frames) + body[at + 4 :])

    with pytest.raises(ValueError, match=f"damaged: frame number {most + 1}"):
        env.restore_state(counting(most + 1, first))
    env.step(noops(env))  # nothing has happened
    env.restore_state(counting(most, first))
    env.step(noops(env))
    with pytest.raises(ValueError, match=r"env 1 \(pong\) of the saved pool: .*frame number -1"):
        env.restore_state(counting(-1, second))
    problem = rf"env 0 \(pong\) cannot be brought back .*frame number {most + 4}"
    for call in (lambda: env.step(noops(env)), env.clone_state):
        with pytest.raises(RuntimeError, match=problem):
            call()
    env.restore_state(sealed(body))
    env.step(noops(env))
    env.close()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_envs": 4}, "differs in num_envs: it has 2, this one 4"),
        ({"batch_size": 1}, "differs in batch_size: it has 2, this one 1"),
        ({"game": "boxing"}, "differs in env 0: it has pong, this one boxing"),
        ({"mode": [0, 1]}, "differs in env 0: it has pong, this one pong mode 0"),
        ({"difficulty": 1}, "differs in env 0: it has pong, this one pong difficulty 1"),
        ({"frameskip": 3}, "differs in frameskip: it has 4, this one 3"),
        ({"img_height": 80}, "differs in img_height: it has 84, this one 80"),
        ({"img_width": 80}, "differs in img_width"),
        ({"stack_num": 3}, "differs in stack_num"),
        ({"grayscale": False}, "differs in grayscale: it has true, this one false"),
        ({"maxpool": False}, "differs in maxpool"),
        ({"pooling": "exact"}, "differs in exact pooling"),
        ({"pooling": "exact", "maxpool_rgb": True}, "differs in exact pooling"),
        ({"noop_min": 1}, "differs in noop_min"),
        ({"noop_max": 29}, "differs in noop_max"),
        ({"noop_unit": "agent_steps"}, "differs in no-ops in agent steps"),
        ({"life_loss_info": True}, "differs in life_loss_info"),
        ({"clear_stack_on_life_loss": True}, "differs in clear_stack_on_life_loss"),
        ({"use_fire_reset": False}, "differs in use_fire_reset"),
        ({"episodic_life": True}, "differs in episodic_life"),
        ({"reward_clipping": False}, "differs in reward_clipping"),
        ({"max_num_frames_per_episode": 999}, "differs in max_num_frames_per_episode"),
        ({"repeat_action_probability": 0.25}, "repeat_action_probability: it has 0, this one 0.25"),
        ({"full_action_space": True}, "differs in full_action_space"),
        ({"autoreset_mode": "SameStep"}, "differs in autoreset: it has next-step, this one same"),
    ],
    ids=str,
)
def test_a_state_of_other_settings_is_refused(settings: dict[str, Any], message: str) -> None:
    with AtariVectorEnv("pong", 2) as env:
        env.reset(seed=0)
        state = env.clone_state()
    with (
        AtariVectorEnv(**{"game": "pong", "num_envs": 2, **settings}) as other,
        pytest.raises(ValueError, match=message),
    ):
        other.restore_state(state)


def test_a_state_goes_to_any_number_of_threads() -> None:
    one = AtariVectorEnv("breakout", 3, num_threads=1)
    two = AtariVectorEnv("breakout", 3, num_threads=2, ram=True)
    one.reset(seed=4)
    two.restore_state(one.clone_state())
    for t in range(30):
        np.testing.assert_array_equal(
            one.step(noops(one) + t % 4)[0], two.step(noops(two) + t % 4)[0]
        )
    one.close()
    two.close()


def test_a_state_needs_a_reset_first() -> None:
    with AtariVectorEnv("pong", 1) as env, pytest.raises(RuntimeError, match="before reset"):
        env.clone_state()
