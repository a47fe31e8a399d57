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
    # The oracle is slow: each row once, however often it was drawn.
    indices, draws = np.unique(sample["index"], return_inverse=True)
    rows = [oracle.transition(*by_index[i], n_step, gamma) for i in indices.tolist()]
    for field in rows[0]:
        expected = np.stack([row[field] for row in rows])[draws]
        np.testing.assert_array_equal(sample[field], expected, err_msg=field)


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
