"""The replay ring beside memcpy, cpprb, stable-baselines3 and torchrl, on the same work.

    python -m pytest benchmarks/bench_replay.py --benchmark-only -o addopts="" -s

Every round times the peer and then the ring, so that both meet the machine in the same mood; the
ratio printed is the median over rounds of peer time / ring time (above 1: the ring is faster).
Everything runs on one thread and is timed by that thread's processor time, which leaves out what a
shared machine gives to others in between. Each peer holds half a gigabyte of frames or more, too
much for any cache. A peer that is not installed is skipped.
"""

import time

import numpy as np
import pytest

from actormimic.replay import ReplayRing

pytestmark = pytest.mark.benchmark(timer=time.thread_time)

BATCH, LANES, STACK, FRAME = 256, 16, 4, (84, 84)
FRAME_BYTES = 84 * 84
STACK_FIELDS = ("obs", "next_obs", "actions", "rewards", "terminals")
ROUNDS = 60


def fill(ring, rows, first=0):
    rng = np.random.default_rng(first)
    frames = rng.integers(0, 256, (32, ring.lanes, *ring.frame_shape), np.uint8)
    actions = rng.integers(0, 18, (32, ring.lanes))
    rewards = np.zeros(ring.lanes, np.float32)
    for t in range(first, first + rows):
        terminals = rng.random(ring.lanes) < 1 / 800
        ring.append(frames[t % 32], actions[t % 32], rewards, terminals)


@pytest.fixture(scope="module")
def ring():
    ring = ReplayRing(200_000, LANES)
    fill(ring, 200_000 // LANES + 100)
    return ring


def paired(benchmark, label, ours, theirs, rounds=ROUNDS):
    """Times `theirs` before each round of `ours`; both take the number of the round."""
    times = []
    state = {"round": 0}

    def setup():
        state["round"] += 1
        begin = time.thread_time()
        theirs(state["round"])
        times.append(time.thread_time() - begin)
        return (state["round"],), {}

    for warm_up in range(3):
        ours(warm_up)
        theirs(warm_up)
    benchmark.pedantic(ours, setup=setup, rounds=rounds)
    own = np.array(benchmark.stats.stats.data)
    peer = np.array(times[-len(own) :])
    report = {
        "ring_us": round(float(np.median(own)) * 1e6, 1),
        "peer_us": round(float(np.median(peer)) * 1e6, 1),
        "ratio": round(float(np.median(peer / own)), 2),
    }
    benchmark.extra_info.update(report)
    print(
        f"\n{label}: ring {report['ring_us']} us, peer {report['peer_us']} us, "
        f"peer / ring {report['ratio']}"
    )


class ColdMemory:
    """More memory than the caches hold, copied from block after block."""

    def __init__(self, bytes_):
        self.blocks = max(2, (1 << 30) // bytes_)
        self.source = np.ones((self.blocks, bytes_), np.uint8)
        self.target = np.zeros(bytes_, np.uint8)

    def __call__(self, round_):
        np.copyto(self.target, self.source[round_ % self.blocks])


def cpprb(capacity, **options):
    module = pytest.importorskip("cpprb", reason="cpprb is not installed")
    fields = {
        "obs": {"shape": (*FRAME, STACK), "dtype": np.uint8},
        "act": {},
        "rew": {},
        "done": {},
    }
    buffer = module.ReplayBuffer(capacity, fields, next_of="obs", **options)
    obs = np.random.default_rng(0).integers(0, 256, (500, *FRAME, STACK), np.uint8)
    zeros = np.zeros(500)
    for _ in range(capacity // 500):
        buffer.add(obs=obs, next_obs=obs, act=zeros, rew=zeros, done=zeros)
    return lambda round_: buffer.sample(BATCH)


def cpprb_stack_compress():
    return cpprb(160_000, stack_compress="obs")


def cpprb_plain():
    return cpprb(40_000)


def stable_baselines3():
    buffers = pytest.importorskip(
        "stable_baselines3.common.buffers", reason="stable-baselines3 is not installed"
    )
    spaces = pytest.importorskip("gymnasium").spaces
    pytest.importorskip("torch").set_num_threads(1)
    capacity = 40_000
    buffer = buffers.ReplayBuffer(
        capacity,
        spaces.Box(0, 255, (STACK, *FRAME), np.uint8),
        spaces.Discrete(18),
        device="cpu",
        optimize_memory_usage=True,
        handle_timeout_termination=False,
    )
    buffer.observations[...] = 1
    buffer.full = True
    return lambda round_: buffer.sample(BATCH)


def torchrl():
    torch = pytest.importorskip("torch")
    pytest.importorskip("torchrl", reason="torchrl is not installed")
    from tensordict import TensorDict
    from torchrl.data import LazyTensorStorage, ReplayBuffer

    torch.set_num_threads(1)
    capacity, chunk = 20_000, 1000
    buffer = ReplayBuffer(storage=LazyTensorStorage(capacity), batch_size=BATCH)
    rows = {
        "obs": torch.ones((chunk, STACK, *FRAME), dtype=torch.uint8),
        "next_obs": torch.ones((chunk, STACK, *FRAME), dtype=torch.uint8),
        "action": torch.zeros(chunk, dtype=torch.int64),
        "reward": torch.zeros(chunk),
        "done": torch.zeros(chunk, dtype=torch.bool),
    }
    for _ in range(capacity // chunk):
        buffer.extend(TensorDict(rows, [chunk]))
    return lambda round_: buffer.sample()


def memcpy_of_the_batch():
    return ColdMemory(2 * BATCH * STACK * FRAME_BYTES)


@pytest.mark.parametrize(
    "peer",
    [memcpy_of_the_batch, cpprb_stack_compress, cpprb_plain, stable_baselines3, torchrl],
    ids=lambda peer: peer.__name__,
)
@pytest.mark.filterwarnings("ignore")  # those of the peers
def test_sample_of_256_stacks_and_next_stacks(benchmark, ring, peer):
    theirs = peer()
    out = ring.sample(BATCH, fields=STACK_FIELDS, seed=0)
    paired(
        benchmark,
        f"sample(256) beside {peer.__name__}",
        lambda round_: ring.sample(BATCH, seed=round_, out=out),
        theirs,
    )


@pytest.mark.parametrize("batch", [16, 32, BATCH])
def test_channels_last_sample_beside_the_stored_order(benchmark, ring, batch):
    """What a convolution on the CPU reads, beside what other cases draw."""
    outs = [
        ring.sample(batch, fields=STACK_FIELDS, seed=0, channels_last=last)
        for last in (True, False)
    ]
    paired(
        benchmark,
        f"sample({batch}, channels_last) beside the same in stored order",
        lambda round_: ring.sample(batch, seed=round_, out=outs[0], channels_last=True),
        lambda round_: ring.sample(batch, seed=round_, out=outs[1]),
    )


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("obs_dtype", ["float16", "bfloat16"])
def test_half_precision_sample_beside_memcpy_of_its_bytes(
    benchmark, ring, obs_dtype, channels_last
):
    layout = {"obs_dtype": obs_dtype, "channels_last": channels_last}
    out = ring.sample(BATCH, fields=STACK_FIELDS, seed=0, **layout)
    paired(
        benchmark,
        f"sample(256, {layout}) beside memcpy of its bytes",
        lambda round_: ring.sample(BATCH, seed=round_, out=out, **layout),
        ColdMemory(2 * 2 * BATCH * STACK * FRAME_BYTES),
    )


def test_append_of_16_lanes_beside_memcpy(benchmark, ring):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (32, LANES, *FRAME), np.uint8)
    actions, rewards = np.zeros(LANES, np.int64), np.zeros(LANES, np.float32)
    terminals = np.zeros(LANES, bool)
    rows = np.zeros((4096, LANES, *FRAME), np.uint8)
    paired(
        benchmark,
        "append of 16 lanes beside memcpy",
        lambda round_: ring.append(frames[round_ % 32], actions, rewards, terminals),
        lambda round_: np.copyto(rows[round_ % 4096], frames[round_ % 32]),
        rounds=2000,
    )


@pytest.mark.parametrize("share", [0.001, 0.5, 1.0, 1.5])
def test_sample_whatever_the_fill_beside_memcpy(benchmark, share):
    """Nearly empty, half full, full, and wrapped: no fill is slower than another."""
    ring = ReplayRing(100_000, LANES)
    fill(ring, max(10, int(share * 100_000 / LANES)))
    out = ring.sample(BATCH, fields=STACK_FIELDS, seed=0)
    paired(
        benchmark,
        f"sample(256) of a ring filled {share} times beside memcpy",
        lambda round_: ring.sample(BATCH, seed=round_, out=out),
        memcpy_of_the_batch(),
    )


@pytest.mark.parametrize("capacity", [10_000, 100_000, 1_000_000, 4_000_000])
def test_growth_with_capacity_beside_memcpy(benchmark, capacity):
    """Frames of 42x42, since four million of 84x84 take 28 GB."""
    frame_shape = (42, 42)
    ring = ReplayRing(capacity, LANES, frame_shape=frame_shape)
    fill(ring, capacity // LANES)
    out = ring.sample(BATCH, fields=STACK_FIELDS, seed=0)
    paired(
        benchmark,
        f"sample(256) of {capacity:,} frames of 42x42 beside memcpy",
        lambda round_: ring.sample(BATCH, seed=round_, out=out),
        ColdMemory(2 * BATCH * STACK * 42 * 42),
    )
