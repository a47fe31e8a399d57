import numpy as np
import pytest
import torch

from actormimic.replay import ReplayRing
from actormimic.replay_cuda import DeviceReplayRing

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.cuda)]
EXTRAS = {"q": ((18,), "float32")}


def append_both(rings, steps, frame_shape=(8, 5)):
    rng = np.random.default_rng(0)
    for t in range(steps):
        lanes = None if t % 5 else [1]
        count = 2 if lanes is None else 1
        frames = rng.integers(0, 256, (count, *frame_shape), np.uint8)
        arguments = (rng.integers(-1, 18, count), rng.normal(size=count), rng.random(count) < 0.1)
        q = rng.normal(size=(count, 18)).astype(np.float32)
        for ring in rings:
            ring.append(frames, *arguments, lanes=lanes, q=q)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("device", DEVICES)
def test_draws_and_batches_equal_those_of_the_host_ring(device, dtype, memory_format):
    host = ReplayRing(48, 2, frame_shape=(8, 5), extras=EXTRAS)
    ring = DeviceReplayRing(
        48,
        2,
        device=device,
        frame_shape=(8, 5),
        extras=EXTRAS,
        dtype=dtype,
        memory_format=memory_format,
    )
    append_both((host, ring), 90)
    assert len(ring) == len(host)
    for lanes in (None, [1]):
        expected = host.sample(128, lanes=lanes, n_step=3, gamma=0.9, seed=5)
        sample = ring.sample(128, lanes=lanes, n_step=3, gamma=0.9, seed=5)
        assert sample.keys() == expected.keys()
        for name, array in expected.items():
            tensor = torch.from_numpy(array)
            if name in ("obs", "next_obs"):
                tensor = (tensor.float() * (1 / 255)).to(dtype)
                assert sample[name].is_contiguous(memory_format=memory_format)
            assert sample[name].device.type == device
            assert torch.equal(sample[name].cpu(), tensor), name
    assert set(ring.sample(4, fields=["obs", "q"])) == {"obs", "q"}


@pytest.mark.parametrize("device", DEVICES)
def test_frames_may_already_lie_on_the_device(device):
    ring = DeviceReplayRing(20, 1, device=device, frame_shape=(8, 8))
    for t in range(6):
        frame = torch.full((1, 8, 8), 51 * (t % 5 + 1), dtype=torch.uint8, device=device)
        ring.append(frame, [0], [0.0], [False])
    obs = ring.sample(32, seed=0, fields=["obs"])["obs"]
    assert set(obs[:, -1].unique().tolist()) == {
        torch.tensor(value).bfloat16().item() for value in (0.2, 0.4, 0.6, 0.8, 1.0)
    }
    assert ring.nbytes >= 20 * 64


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"frames": np.zeros((2, 8, 5), np.float32)}, TypeError, "frames has dtype torch.float32"),
        ({"frames": np.zeros((1, 8, 5), np.uint8)}, ValueError, r"frames has shape \(1, 8, 5\)"),
        ({"lanes": [0, 2]}, IndexError, "lane 2 is out of range"),
        ({"actions": [0, -2]}, ValueError, r"actions\[1\] is -2"),
    ],
)
def test_bad_rows_change_nothing(change, error, message):
    ring = DeviceReplayRing(48, 2, device="cpu", frame_shape=(8, 5))
    good = {
        "frames": np.full((2, 8, 5), 9, np.uint8),
        "actions": [0, 0],
        "rewards": [0.0, 0.0],
        "terminals": [True, True],
    }
    with pytest.raises(error, match=message):
        ring.append(**{**good, **change})
    assert len(ring) == 0
    assert not ring.frames.any()
    ring.append(**good)
    assert len(ring) == 2


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"frame_shape": (7, 7)}, ValueError, r"frame_shape is \(7, 7\); allowed: two sizes"),
        ({"frame_shape": (8,)}, ValueError, r"frame_shape is \(8,\)"),
        ({"dtype": torch.float64}, TypeError, "dtype is torch.float64"),
        ({"memory_format": torch.preserve_format}, ValueError, "memory_format is"),
        ({"capacity": 8}, ValueError, "capacity gives each of 2 lanes 4 rows"),
    ],
)
def test_rings_that_cannot_be_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        DeviceReplayRing(**{"capacity": 48, "lanes": 2, "device": "cpu", **arguments})
