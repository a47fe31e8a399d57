import numpy as np
import pytest
import torch

from actormimic.replay import ReplayRing


@pytest.fixture(scope="module", params=[(4, (84, 84)), (3, (5, 7)), (4, (41,))])
def ring(request):
    stack, frame_shape = request.param
    ring = ReplayRing(200, 1, frame_shape=frame_shape, stack=stack)
    rng = np.random.default_rng(0)
    for t in range(100):
        ring.append(rng.integers(0, 256, (1, *frame_shape), np.uint8), [0], [0.0], [t % 9 == 8])
    return ring


def to_torch(array):
    if array.dtype == np.uint16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("obs_dtype", ["uint8", "float16", "bfloat16"])
def test_a_formatted_batch_equals_the_same_conversion_by_torch(ring, obs_dtype, channels_last):
    plain = ring.sample(64, seed=3)
    sample = ring.sample(64, seed=3, obs_dtype=obs_dtype, channels_last=channels_last)
    assert sample["terminals"].any()
    for field in ("obs", "next_obs"):
        expected = torch.from_numpy(plain[field])
        if obs_dtype != "uint8":
            expected = (expected.float() / 255).to(getattr(torch, obs_dtype))
        if channels_last:
            expected = expected.movedim(1, -1)
        assert sample[field].flags.c_contiguous
        assert torch.equal(to_torch(sample[field]), expected)


def test_bfloat16_bits_are_written_into_a_torch_tensor(ring):
    shape = (8, ring.stack, *ring.frame_shape)
    batch = torch.zeros(shape, dtype=torch.bfloat16)
    out = {"obs": batch.view(torch.int16).numpy()}
    ring.sample(8, seed=1, out=out, obs_dtype="bfloat16")
    expected = torch.from_numpy(ring.sample(8, seed=1)["obs"]).float() / 255
    assert torch.equal(batch, expected.bfloat16())


def test_an_out_of_another_layout_is_refused(ring):
    out = {"obs": np.zeros((8, ring.stack, *ring.frame_shape), np.uint8)}
    with pytest.raises(ValueError, match=r"out\['obs'\] has dtype uint8; allowed: float16"):
        ring.sample(8, out=out, obs_dtype="float16")
    with pytest.raises(ValueError, match=r"out\['obs'\] has shape"):
        ring.sample(8, out=out, channels_last=True)
