"""What the ring is given: arrays of any layout are taken as they are, and mistakes refused."""

import pickle

import numpy as np
import pytest
from test_replay import FRAME, fill, small_ring

from actormimic.replay import ReplayRing


def misaligned(values, dtype):
    array = np.frombuffer(bytearray(8 * len(values) + 1), dtype, len(values), offset=1)
    array[:] = values
    return array


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
        (
            {"actions": np.array([0, 2**64 - 1], np.uint64)},
            ValueError,
            "actions holds 18446744073709551615; allowed: at most",
        ),
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
        ({"actions": [[0], [1, 2]]}, ValueError, "actions is no array: setting an array element"),
        ({"frames": [[0], [1, 2]]}, ValueError, "frames is no array: setting an array element"),
        ({"q": [[0], [1, 2]]}, ValueError, "q is no array: setting an array element"),
        ({"lanes": [[0], [1, 2]]}, ValueError, "lanes is no array: setting an array element"),
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


class Failing:
    def __array__(self, dtype=None, copy=None):
        raise KeyError("its own trouble")


def test_an_error_of_the_argument_s_own_comes_through():
    with pytest.raises(KeyError, match="its own trouble"):
        small_ring().append(**{**GOOD, "actions": Failing()})


@pytest.mark.parametrize(
    ("dtype", "values", "message"),
    [
        ("int8", [300, -200], "q holds -200 to 300; allowed: -128 to 127, the range of int8"),
        ("uint8", [256, 0], "q holds 0 to 256; allowed: 0 to 255, the range of uint8"),
    ],
)
def test_extras_that_would_wrap_around_are_refused(dtype, values, message):
    ring = small_ring(extras={"q": ((), dtype)})
    rows = {key: value for key, value in GOOD.items() if key != "q"}
    wide = np.int64 if dtype == "int8" else np.uint64
    with pytest.raises(ValueError, match=message):
        ring.append(**rows, q=np.array(values, wide))
    assert ring.rows_written.tolist() == [0, 0]
    ring.append(**rows, q=np.array([100, 3], wide))


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
        ({"extras": {"a\0b": ((), "f4")}}, ValueError, "extra 'a...' has a zero byte in its name"),
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


def test_frames_that_came_through_pickle_are_frames():
    # As over a queue between processes: their dtype is equal to uint8 and another object.
    frames = np.arange(2 * FRAME[0] * FRAME[1], dtype=np.uint8).reshape(2, *FRAME)
    sent = pickle.loads(pickle.dumps(frames))
    assert sent.dtype is not frames.dtype
    rings = [small_ring(), small_ring()]
    for ring, given in zip(rings, (frames, sent), strict=True):
        for _ in range(3):
            ring.append(given, [1, 2], [0.0, 1.0], [False, False])
    expected, found = (ring.sample(16, seed=3) for ring in rings)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_arrays_that_only_the_call_holds_are_written_to():
    class Fresh(dict):
        """Gives another array at each look-up; nobody else keeps it."""

        made = 0

        def __getitem__(self, key):
            type(self).made += 1
            return np.empty(1 << 16, np.int64)[: 1 << 16]

    ring = small_ring()
    fill(ring, 40)
    ring.sample(1 << 16, fields=["index"], out=Fresh(index=None))
    assert Fresh.made > 0
