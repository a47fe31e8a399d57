import numpy as np
import pytest
import torch

from actormimic.randomness import Stream, derive_seed, seed_prefix
from actormimic.replay import ReplayRing
from actormimic.replay_cuda import ReplayMirror

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]
EXTRAS = {"q": ((18,), "float32"), "features": ((6,), "float16"), "flag": ((), "bool")}
FRAME = (8, 5)
RINGS, LANES, CAPACITY = 3, 2, 24


def make_rings(**keywords):
    shape = {"frame_shape": FRAME, "extras": EXTRAS, **keywords}
    return [ReplayRing(CAPACITY, LANES, **shape) for _ in range(RINGS)]


def play(rings, steps, mirror=None, seed=0, flush_every=1):
    """Appends to all lanes or to some; the mirror hears of it."""
    rng = np.random.default_rng(seed)
    for t in range(steps):
        for number, ring in enumerate(rings):
            lanes = np.arange(LANES) if rng.random() < 0.7 else np.array([1])
            count = len(lanes)
            ring.append(
                rng.integers(0, 256, (count, *FRAME), np.uint8),
                rng.integers(-1, 18, count),
                rng.normal(size=count),
                rng.random(count) < 0.15,
                lanes=lanes,
                q=rng.normal(size=(count, 18)),
                features=rng.normal(size=(count, 6)),
                flag=rng.random(count) < 0.5,
            )
            if mirror is not None:
                mirror.appended(number, lanes)
        if mirror is not None and t % flush_every == 0:
            mirror.flush()
    if mirror is not None:
        mirror.flush()


def drawn(mirror, update, per_ring=40, seed=9, **options):
    batch = RINGS * per_ring
    out = {
        "index": torch.empty(batch, dtype=torch.int64),
        "frames": torch.empty((batch, 4), dtype=torch.int64),
        "next_frames": torch.empty((batch, 4), dtype=torch.int64),
        "actions": torch.empty(batch, dtype=torch.int64),
        "rewards": torch.empty(batch),
        "discounts": torch.empty(batch),
    }
    out = {name: tensor.to(mirror.device) for name, tensor in out.items()}
    counter = torch.tensor([update], device=mirror.device)
    prefixes = [seed_prefix(seed, Stream.REPLAY, game) for game in range(RINGS)]
    mirror.draw(counter, torch.tensor(prefixes, device=mirror.device), out, **options)
    assert counter.item() == update + 1
    return out


def assert_draws_are_the_rings(mirror, rings, update, **options):
    out = drawn(mirror, update, **options)
    for game, ring in enumerate(rings):
        expected = ring.sample(40, seed=derive_seed(9, Stream.REPLAY, game, update), **options)
        own = slice(game * 40, (game + 1) * 40)
        index = out["index"][own]
        np.testing.assert_array_equal(index.cpu() - game * CAPACITY, expected["index"])
        for name in ("actions", "rewards", "discounts"):
            np.testing.assert_array_equal(out[name][own].cpu(), expected[name], err_msg=name)
        for name in EXTRAS:
            np.testing.assert_array_equal(mirror.arrays[name][index].cpu(), expected[name])
        for name, frames in (("obs", "frames"), ("next_obs", "next_frames")):
            stacks = mirror.gather(out[frames][own].contiguous(), dtype=torch.float32)
            wanted = torch.from_numpy(expected[name]).float() * (1 / 255)
            assert torch.equal(stacks.cpu(), wanted), name


@pytest.mark.parametrize("flush_every", [1, 3])
@pytest.mark.parametrize("device", DEVICES)
def test_draws_are_those_of_the_rings_through_wraps_and_partial_appends(device, flush_every):
    rings = make_rings()
    mirror = ReplayMirror(rings, device)
    for stage in range(6):
        play(rings, 7, mirror, seed=stage, flush_every=flush_every)
        for update, n_step in ((0, 1), (7, 3), (2**40, 30)):
            assert_draws_are_the_rings(mirror, rings, update, n_step=n_step, gamma=0.9)


@pytest.mark.parametrize("device", DEVICES)
def test_a_mirror_begins_with_what_the_rings_hold_and_follows_a_load(device, tmp_path):
    rings = make_rings()
    play(rings, 30)
    mirror = ReplayMirror(rings, device)
    assert_draws_are_the_rings(mirror, rings, 3)
    saved = make_rings()
    play(saved, 17, seed=5)
    for number, ring in enumerate(saved):
        ring.save(tmp_path / str(number))
        rings[number].load(tmp_path / str(number))
    mirror.reload()
    assert_draws_are_the_rings(mirror, saved, 4)
    play(rings, 5, mirror)
    assert_draws_are_the_rings(mirror, rings, 5)


def test_only_what_was_flushed_is_drawn():
    rings = make_rings()
    mirror = ReplayMirror(rings, "cpu")
    play(rings, 20, mirror)
    before = drawn(mirror, 1)["index"]
    frame = np.zeros((1, *FRAME), np.uint8)
    row = {"q": np.zeros((1, 18)), "features": np.zeros((1, 6)), "flag": [True]}
    rings[0].append(frame, [3], [1.0], [True], lanes=[0], **row)
    mirror.appended(0, np.array([0]))
    assert torch.equal(drawn(mirror, 1)["index"], before)
    mirror.flush()
    assert_draws_are_the_rings(mirror, rings, 1)


def test_the_end_of_the_copies_is_that_on_the_mirror_s_device(monkeypatch):
    """And not on whichever device is current."""
    recorded = []

    class Event:
        def synchronize(self):
            pass

        def record(self, stream):
            recorded.append(stream)

    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: ("stream of", device))
    rings = make_rings()
    mirror = ReplayMirror(rings, "cpu")
    for _ in range(2):
        next(mirror._stages).copied = Event()
    play(rings, 3, mirror)
    assert recorded == [("stream of", mirror.device)] * len(recorded)
    assert len(recorded) >= 3


def test_empty_rings_give_no_rows_and_memory_is_told():
    rings = make_rings()
    mirror = ReplayMirror(rings, "cpu")
    out = drawn(mirror, 0)
    assert (out["index"] == -1).all()
    assert (out["frames"] == -1).all()
    assert not out["discounts"].any()
    rows = RINGS * CAPACITY * (40 + 18 * 4 + 6 * 2 + 1 + 8 + 8)
    assert mirror.nbytes == rows + RINGS * LANES * 16


def test_a_mirror_outlives_the_closing_of_its_rings():
    rings = make_rings()
    play(rings, 20)
    mirror = ReplayMirror(rings, "cpu")
    for ring in rings:
        ring.close()
    mirror.reload()
    assert (drawn(mirror, 0)["index"] >= 0).all()


INDEX = torch.empty(6, dtype=torch.int64)
COUNTER, PREFIXES = torch.zeros(1, dtype=torch.int64), torch.zeros(RINGS, dtype=torch.int64)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"out": {}}, ValueError, "out has 0 rows; allowed: a positive multiple of 3"),
        ({"out": {"index": INDEX[:4]}}, ValueError, "out has 4 rows; allowed: a positive multiple"),
        ({"out": {"obs": INDEX}}, ValueError, "out has 'obs'; allowed: index, frames"),
        ({"out": {"index": INDEX.int()}}, TypeError, r"out\['index'\] has dtype torch.int32"),
        ({"out": {"frames": INDEX}}, ValueError, r"shape \(6,\); allowed: \(6, 4\)"),
        ({"out": {"index": INDEX.to("meta")}}, ValueError, "is on meta; allowed: cpu"),
        (
            {"out": {"index": torch.empty(12, dtype=torch.int64)[::2]}},
            ValueError,
            "is not contiguous",
        ),
        ({"counter": COUNTER.float()}, TypeError, "counter has dtype torch.float32"),
        ({"counter": PREFIXES}, ValueError, r"counter has shape \(3,\); allowed: \(1,\)"),
        ({"prefixes": COUNTER}, ValueError, r"prefixes has shape \(1,\); allowed: \(3,\)"),
        ({"n_step": 0}, ValueError, "n_step is 0; allowed: 1 to"),
        ({"gamma": 2.0}, ValueError, "gamma is 2; allowed: 0 to 1"),
    ],
)
def test_bad_draws_are_refused(arguments, error, message):
    mirror = ReplayMirror(make_rings(), "cpu")
    defaults = {"counter": COUNTER, "prefixes": PREFIXES, "out": {"index": INDEX}}
    with pytest.raises(error, match=message):
        mirror.draw(**{**defaults, **arguments})
    assert COUNTER.item() == 0


@pytest.mark.parametrize(
    ("rings", "message"),
    [
        ([], "rings is empty"),
        ([ReplayRing(64, 2), ReplayRing(66, 2)], "rings have shapes .* allowed: one shape"),
        ([ReplayRing(64, 2, stack=3)], "rings have stacks of 3; allowed: 4"),
        ([ReplayRing(64, 2, frame_shape=(7, 7))], r"frame_shape is \(7, 7\); allowed: two sizes"),
        ([ReplayRing(64, 2, frame_shape=(8,))], r"frame_shape is \(8,\)"),
    ],
)
def test_rings_that_cannot_be_mirrored_are_refused(rings, message):
    with pytest.raises(ValueError, match=message):
        ReplayMirror(rings, "cpu")
