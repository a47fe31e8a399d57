import os
import subprocess
import sys
import threading
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle_replay import ListRing

from actormimic.replay import FIELDS, ReplayRing

FRAME = (3, 2)


def fill(ring, rows, *, lanes=None, start=0, terminal_every=0):
    """Appends `rows` rows to each lane; the frame of row t is filled with t % 251 + 1."""
    count = ring.lanes if lanes is None else len(lanes)
    for t in range(start, start + rows):
        ring.append(
            np.full((count, *ring.frame_shape), t % 251 + 1, np.uint8),
            np.full(count, t % 18),
            np.full(count, t, np.float32),
            np.full(count, terminal_every > 0 and (t + 1) % terminal_every == 0),
            lanes=lanes,
        )


def misaligned(values, dtype):
    array = np.frombuffer(bytearray(8 * len(values) + 1), dtype, len(values), offset=1)
    array[:] = values
    return array


def small_ring(capacity=64, lanes=2, **keywords):
    return ReplayRing(capacity, lanes, frame_shape=FRAME, **keywords)


@st.composite
def histories(draw):
    lanes = draw(st.integers(1, 3))
    stack = draw(st.integers(1, 5))
    rows_per_lane = draw(st.integers(stack + 1, 24))
    capacity = rows_per_lane * lanes + draw(st.integers(0, lanes - 1))
    steps = draw(
        st.lists(
            st.tuples(
                st.sets(st.integers(0, lanes - 1), min_size=1),
                st.sampled_from(["go"] * 6 + ["terminal", "cut", "final"]),
                st.sampled_from([None, None, None, False, True]),
            ),
            min_size=1,
            max_size=70,
        )
    )
    return capacity, lanes, stack, steps


@settings(max_examples=150, deadline=None)
@given(histories(), st.integers(1, 5), st.sampled_from([0.0, 0.5, 0.99, 1.0]))
def test_every_field_of_every_draw_equals_the_oracle(history, n_step, gamma):
    capacity, lanes, stack, steps = history
    ring = small_ring(capacity, lanes, stack=stack, extras={"label": ((2,), "<f4")})
    oracle = ListRing(capacity, lanes, stack)
    rng = np.random.default_rng(0)
    for chosen, kind, start in steps:
        chosen = sorted(chosen, reverse=True)
        frames = rng.integers(1, 256, (len(chosen), *FRAME), np.uint8)
        action = -1 if kind == "final" else int(rng.integers(18))
        reward = rng.normal(size=len(chosen)).astype(np.float32)
        labels = rng.normal(size=(len(chosen), 2)).astype(np.float32)
        starts = None if start is None else np.full(len(chosen), start or kind == "cut")
        terminal = kind == "terminal"
        ring.append(
            frames,
            np.full(len(chosen), action),
            reward,
            np.full(len(chosen), terminal),
            starts=starts,
            lanes=chosen,
            label=labels,
        )
        for i, lane in enumerate(chosen):
            oracle.append(
                lane,
                frames[i],
                action,
                reward[i],
                terminal,
                None if starts is None else starts[i],
                label=labels[i],
            )
    valid = oracle.valid()
    assert len(ring) == len(valid)
    np.testing.assert_array_equal(ring.rows_written, [len(rows) for rows in oracle.rows])
    if not valid:
        with pytest.raises(ValueError, match="nothing to sample"):
            ring.sample(1)
        return
    by_index = {oracle.index(lane, t): (lane, t) for lane, t in valid}
    sample = ring.sample(40 * len(valid), n_step=n_step, gamma=gamma, seed=7)
    assert set(sample["index"].tolist()) == set(by_index)  # misses one with probability n e^-40
    for i, index in enumerate(sample["index"].tolist()):
        expected = oracle.transition(*by_index[index], n_step, gamma)
        for field, value in expected.items():
            np.testing.assert_array_equal(sample[field][i], value, err_msg=field)


def test_a_row_waits_for_its_successor_unless_terminal():
    ring = small_ring(lanes=1)
    fill(ring, 1)
    assert len(ring) == 0
    fill(ring, 1, start=1)
    assert len(ring) == 1
    ring.append(np.ones((1, *FRAME), np.uint8), [0], [0.0], [True])
    assert len(ring) == 3


def test_a_truncated_row_needs_a_final_observation_to_be_sampled():
    frame = np.ones((1, *FRAME), np.uint8)
    cut = small_ring(lanes=1)
    cut.append(frame, [3], [1.0], [False])
    cut.append(frame, [3], [1.0], [False], starts=[True])
    assert len(cut) == 0

    kept = small_ring(lanes=1)
    kept.append(frame, [3], [1.0], [False])
    kept.append(2 * frame, [-1], [0.0], [False])
    kept.append(3 * frame, [3], [1.0], [False])  # starts by default
    kept.append(4 * frame, [3], [1.0], [False])
    sample = kept.sample(64, n_step=3, gamma=0.5, seed=0)
    first = sample["index"] == 0
    assert set(sample["index"].tolist()) == {0, 2}
    assert sample["rewards"][first].tolist() == [1.0] * first.sum()
    assert sample["discounts"][first].tolist() == [0.5] * first.sum()
    assert not sample["terminals"].any()
    np.testing.assert_array_equal(sample["next_obs"][first][0][:, 0, 0], [0, 0, 1, 2])
    np.testing.assert_array_equal(sample["obs"][~first][0][:, 0, 0], [0, 0, 0, 3])


def test_same_seed_same_rows_and_other_seed_other_rows():
    ring = small_ring(capacity=400)
    fill(ring, 150)
    first, again, other = (ring.sample(64, seed=seed)["index"] for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert (ring.sample(64)["index"] != ring.sample(64)["index"]).any()


def test_a_longer_batch_begins_with_the_shorter_one():
    ring = small_ring()
    fill(ring, 20)
    np.testing.assert_array_equal(
        ring.sample(8, seed=1)["index"], ring.sample(32, seed=1)["index"][:8]
    )


@pytest.mark.parametrize("rows", [7, 20, 32, 75])
def test_draws_are_uniform_over_valid_rows_whatever_the_fill(rows):
    ring = small_ring()
    fill(ring, rows, terminal_every=9)
    fill(ring, 6, lanes=[0], start=rows)
    valid = len(ring)
    draws = 400 * valid
    counts = np.bincount(ring.sample(draws, seed=3, fields=["index"])["index"], minlength=64)
    counts = counts[counts > 0]
    assert len(counts) == valid
    chi_square = ((counts - 400) ** 2 / 400).sum()
    # Mean `valid - 1` and variance twice that: five deviations.
    assert abs(chi_square - (valid - 1)) < 5 * np.sqrt(2 * (valid - 1))


def test_lanes_restrict_the_draws():
    ring = small_ring(capacity=96, lanes=3)
    fill(ring, 20)
    sample = ring.sample(200, lanes=[2, 0], seed=0)
    assert set((sample["index"] // 32).tolist()) == {0, 2}


def test_fields_and_out_decide_what_is_written():
    ring = small_ring(extras={"q": ((18,), "float32")})
    frame = np.ones((2, *FRAME), np.uint8)
    for _ in range(5):
        ring.append(frame, [1, 2], [0.0, 1.0], [False, False], q=np.ones((2, 18), np.float32))
    assert set(ring.sample(4)) == {*FIELDS, "q"}
    assert set(ring.sample(4, fields=("obs", "q"))) == {"obs", "q"}
    out = ring.sample(4, seed=1)
    expected = {name: array.copy() for name, array in out.items()}
    for array in out.values():
        array[...] = 99
    assert ring.sample(4, seed=1, out=out) is out
    for name, array in expected.items():
        np.testing.assert_array_equal(out[name], array)
    out["obs"][...] = 99
    ring.sample(4, seed=2, out=out, fields=["q"])
    assert (out["obs"] == 99).all()


def test_half_precision_extras_are_stored_as_such():
    ring = small_ring(extras={"features": ((512,), np.float16)})
    features = np.random.default_rng(0).normal(size=(2, 512)).astype(np.float32)
    for _ in range(3):
        ring.append(
            np.ones((2, *FRAME), np.uint8), [0, 0], [0, 0], [False, False], features=features
        )
    sample = ring.sample(8, seed=0)
    assert sample["features"].dtype == np.float16
    np.testing.assert_array_equal(
        sample["features"], features.astype(np.float16)[sample["index"] // 32]
    )
    wide = small_ring(extras={"features": ((512,), np.float32)})
    assert wide.nbytes - ring.nbytes == 64 * 512 * 2


def test_eight_games_of_100_000_frames_with_labels_fit_in_5_75_gb():
    """Gigabytes of 10^9 bytes, with all that a ring keeps beside its frames."""
    rows, page = 100_000, 4096
    labels = {"q": ((18,), "float32")}
    ring = ReplayRing(rows, 16, extras=labels)  # pages are taken as they are written
    content = rows * (84 * 84 + 8 + 8 + 4 * 18)  # frame, row, queue entry, label
    assert content <= ring.nbytes <= content + 7 * page
    assert 5.7e9 < 8 * ring.nbytes < 5.75e9
    with_features = ReplayRing(rows, 16, extras={**labels, "features": ((512,), "float16")})
    features = with_features.nbytes - ring.nbytes
    assert rows * 512 * 2 <= features <= rows * 512 * 2 + page
    assert round(8 * features / 1e9, 1) == 0.8  # 0.82 GB, which are 0.76 GiB


def test_sampling_into_out_allocates_nothing_that_grows_with_the_batch():
    ring = ReplayRing(400, 2)
    fill(ring, 100)
    out = ring.sample(128, seed=0)
    tracemalloc.start()
    try:
        for seed in range(20):
            ring.sample(128, seed=seed, out=out)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # Arguments and views; one draw's state alone has 28,224 bytes.
    assert peak < 8000


def test_misaligned_arguments_are_stored_like_aligned_ones():
    rings = small_ring(), small_ring()
    for t in range(8):
        actions, rewards = misaligned([t, 1], "i8"), misaligned([0.5, t], "f4")
        assert not actions.flags.aligned
        assert not rewards.flags.aligned
        frames = np.full((2, *FRAME), t, np.uint8)
        rings[0].append(frames, actions, rewards, [False, False], lanes=misaligned([0, 1], "i8"))
        rings[1].append(frames, actions.copy(), rewards.copy(), [False, False])
    first, second = (ring.sample(64, seed=0, lanes=misaligned([0, 1], "i8")) for ring in rings)
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])


def test_strided_frames_are_stored_like_contiguous_ones():
    stacks = np.random.default_rng(0).integers(0, 255, (2, 4, *FRAME), np.uint8)
    for frames in (stacks[:, -1], np.asfortranarray(stacks[:, -1])):
        ring = small_ring(stack=1)
        for _ in range(2):
            ring.append(frames, [0, 0], [0, 0], [False, False])
        sample = ring.sample(16, seed=0)
        np.testing.assert_array_equal(sample["obs"][:, 0], stacks[sample["index"] // 32, -1])


GOOD = {
    "frames": np.ones((2, *FRAME), np.uint8),
    "actions": [0, 1],
    "rewards": [0.0, 1.0],
    "terminals": [False, True],
    "q": np.zeros((2, 4), np.float32),
}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"frames": np.ones((2, *FRAME), np.float32)}, TypeError, "frames has dtype float32"),
        ({"frames": np.ones((2, 2, 2), np.uint8)}, ValueError, r"frames has shape \(2, 2, 2\)"),
        ({"frames": np.uint8(1)}, ValueError, "frames has 0 dimensions"),
        ({"actions": [0.0, 1.0]}, TypeError, "actions has dtype float64; allowed: integers"),
        ({"actions": [0, -2]}, ValueError, r"actions\[1\] is -2; allowed: -1 to 32767"),
        ({"actions": [0, 32768]}, ValueError, r"actions\[1\] is 32768"),
        ({"actions": [0]}, ValueError, r"actions has shape \(1,\); allowed: \(2,\)"),
        ({"actions": [[0, 1]]}, ValueError, "actions has 2 dimensions; allowed: 1"),
        ({"rewards": [0.0, np.nan]}, ValueError, r"rewards\[1\] is nan; allowed: finite"),
        ({"rewards": ["0", "1"]}, TypeError, "rewards has dtype"),
        ({"terminals": [0.0, 1.0]}, TypeError, "terminals has dtype float64; allowed: bool"),
        ({"starts": [True]}, ValueError, r"starts has shape \(1,\)"),
        ({"lanes": [0, 2]}, IndexError, r"lane 2 is out of range \[0, 2\)"),
        ({"lanes": [1, 1]}, ValueError, "lane 1 is named twice"),
        ({"lanes": [0]}, ValueError, r"lanes has shape \(1,\)"),
        ({"q": np.zeros((2, 3))}, ValueError, r"q has shape \(2, 3\); allowed: \(2, 4\)"),
        ({"q": np.zeros((2, 4), complex)}, TypeError, "q has dtype complex128; allowed: float32"),
        ({"p": np.zeros(2)}, TypeError, "append got 'p', which this ring does not store"),
        ({"q": ...}, TypeError, "append needs the extra 'q'"),
    ],
)
def test_bad_rows_are_refused_before_anything_is_stored(change, error, message):
    ring = small_ring(extras={"q": ((4,), "float32")})
    arguments = {key: value for key, value in {**GOOD, **change}.items() if value is not ...}
    with pytest.raises(error, match=message):
        ring.append(**arguments)
    assert ring.rows_written.tolist() == [0, 0]
    ring.append(**GOOD)


def test_an_append_for_all_lanes_needs_all_rows():
    ring = small_ring()
    with pytest.raises(ValueError, match="append got 1 rows for 2 lanes"):
        ring.append(np.ones((1, *FRAME), np.uint8), [0], [0.0], [False])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"batch": 0}, ValueError, "batch is 0; allowed: 1 to"),
        ({"batch": -1}, ValueError, "batch is -1"),
        ({"n_step": 0}, ValueError, "n_step is 0; allowed: 1 to"),
        ({"gamma": 1.5}, ValueError, "gamma is 1.5; allowed: 0 to 1"),
        ({"gamma": float("nan")}, ValueError, "gamma is nan"),
        ({"seed": -1}, ValueError, "seed is -1"),
        ({"seed": 1 << 64}, ValueError, "seed is 18446744073709551616"),
        ({"seed": 0.5}, TypeError, "float"),
        ({"lanes": [2]}, IndexError, "lane 2 is out of range"),
        ({"lanes": []}, ValueError, "lanes is empty"),
        ({"lanes": [0, 0]}, ValueError, "lane 0 is named twice"),
        ({"fields": ["frames"]}, ValueError, "field 'frames' is unknown; allowed: obs, actions"),
        ({"fields": "obs"}, TypeError, "fields is a string"),
        ({"obs_dtype": "float64"}, ValueError, "obs_dtype is 'float64'; allowed: uint8, float16"),
        ({"out": []}, TypeError, "out is no dict"),
        ({"out": {}, "fields": ["obs"]}, ValueError, "out has no array for field 'obs'"),
        ({"out": {"index": [0] * 4}}, TypeError, r"out\['index'\] is no numpy array"),
        ({"out": {"index": np.zeros(4)}}, ValueError, "dtype float64; allowed: int64"),
        ({"out": {"index": np.zeros(3, int)}}, ValueError, r"shape \(3,\); allowed: \(4,\)"),
        ({"out": {"index": np.zeros(8, int)[::2]}}, ValueError, "is not C-contiguous"),
        ({"out": {"index": misaligned([0] * 4, "i8")}}, ValueError, "is not aligned"),
        ({"out": {"index": np.broadcast_to(np.int64(0), 4)}}, ValueError, "C-contiguous|read-only"),
        ({"out": {"rewards": np.frombuffer(bytes(16), "f4")}}, ValueError, "is read-only"),
    ],
)
def test_bad_requests_are_refused(arguments, error, message):
    ring = small_ring()
    fill(ring, 8)
    with pytest.raises(error, match=message):
        ring.sample(**{"batch": 4, **arguments})


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"capacity": 0}, ValueError, "capacity is 0"),
        ({"capacity": 9}, ValueError, "capacity gives each of 2 lanes 4 rows; allowed: 5 or more"),
        ({"capacity": 64.0}, TypeError, "float"),
        ({"lanes": 0}, ValueError, "lanes is 0"),
        ({"stack": 0}, ValueError, "stack is 0; allowed: 1 to 64"),
        ({"frame_shape": ()}, ValueError, "frame_shape has 0 dimensions; allowed: 1 to 4"),
        ({"frame_shape": (84, 0)}, ValueError, "a size in frame_shape is 0"),
        ({"extras": {"x": ((2,), ">f4")}}, ValueError, "extra 'x' has dtype '>f4'; allowed: bool"),
        ({"capacity": 1 << 33}, ValueError, "capacity is 8589934592; allowed: 1 to 4294967296"),
        ({"frame_shape": (1 << 15,) * 2}, ValueError, "frame_shape gives 1073741824 bytes"),
        ({"extras": {"x": ((1 << 15,) * 4, "f8")}}, ValueError, "extra 'x' takes .* bytes a row"),
        ({"extras": {"x": ((0,), "f4")}}, ValueError, "a size of an extra is 0"),
        ({"extras": {"x" * 32: ((), "f4")}}, ValueError, "a name of 32 bytes; allowed: 1 to 31"),
        ({"extras": {"obs": ((), "f4")}}, ValueError, "extra 'obs' has the name of a field"),
        ({"extras": {f"x{i}": ((), "f4") for i in range(17)}}, ValueError, "extras has 17 entries"),
        ({"name": "a/b"}, ValueError, "name is 'a/b'; allowed: 1 to 200 letters"),
        ({"name": ""}, ValueError, "must not be empty"),
        ({"name": "a", "path": "b"}, ValueError, "a ring has a name or a path; both were given"),
    ],
)
def test_rings_that_cannot_be_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        ReplayRing(**{"capacity": 64, "lanes": 2, "frame_shape": FRAME, **arguments})


def test_capacity_is_what_the_lanes_hold():
    ring = small_ring(capacity=67, lanes=3)
    assert (ring.capacity, ring.lanes, ring.stack, ring.frame_shape) == (66, 3, 4, FRAME)
    assert ring.nbytes >= 66 * (6 + 16)


def test_a_closed_ring_says_so():
    ring = small_ring()
    fill(ring, 8)
    assert "valid rows" in repr(ring)
    ring.close()
    ring.close()
    for use in (lambda: ring.sample(1), lambda: len(ring), lambda: fill(ring, 1)):
        with pytest.raises(RuntimeError, match="the ring is closed"):
            use()
    assert "closed" in repr(ring)
    with pytest.raises(ValueError, match="a private ring has no name to remove"):
        ring.unlink()


def test_closing_waits_for_calls_in_other_threads():
    ring = ReplayRing(4000, 2)
    fill(ring, 1000)
    errors = []

    def work():
        try:
            while True:
                ring.sample(64, seed=0)
        except RuntimeError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    ring.close()
    for thread in threads:
        thread.join()
    assert errors == ["the ring is closed"] * 2


def test_the_module_imports_no_torch():
    code = "import sys, actormimic.replay; sys.exit('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
