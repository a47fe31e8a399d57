"""The CUDA kernels against the CPU's and the oracle. Needs a CUDA device."""

import oracle_losses
import pytest
import torch
from test_device_frames import make_frames
from test_losses import gradients, make_inputs
from torch import Tensor

from actormimic.device_frames import gather_frames
from actormimic.distillation_loss import OBJECTIVES
from actormimic.losses import actor_mimic_loss

pytestmark = pytest.mark.cuda

# The device computes in float32, what it is compared with in float64. Gradients of the half types
# it rounds twice, when they are stored and when the upstream gradient scales them, the other side
# once: one unit in the last place.
RTOL = {
    torch.float64: 1e-12,
    torch.float32: 4e-6,
    torch.bfloat16: 2**-7,
    torch.float16: 2**-10,
}


def to_device(inputs: dict[str, Tensor], device: str = "cuda") -> dict[str, Tensor]:
    return {
        name: tensor.detach().to(device).requires_grad_(tensor.requires_grad)
        for name, tensor in inputs.items()
    }


def compare(inputs: dict[str, Tensor], upstream: float = 1.0, **options: object) -> None:
    on_device = to_device(inputs)
    weight = options.pop("weight", None)
    moved = {} if weight is None else {"weight": weight.cuda()}
    ours = actor_mimic_loss(**on_device, **moved, **options)
    if len(inputs["logits"]) < 1000:
        expected = oracle_losses.actor_mimic_loss(**inputs, weight=weight, **options)
    else:
        # The oracle goes row by row: here the CPU kernel, tested against it, stands in. One tensor
        # of float64 makes all of it float64: it is no second float32 that errs by itself, and its
        # half gradients are rounded once, as the oracle's are.
        wide = {**inputs, "expert_q": inputs["expert_q"].double()}
        expected = actor_mimic_loss(**wide, weight=weight, **options)
    for value, wanted in zip(ours, expected, strict=True):
        torch.testing.assert_close(value.cpu().double(), wanted, rtol=RTOL[value.dtype], atol=1e-6)
    found = gradients(ours, on_device, upstream)
    for value, wanted in zip(found, gradients(expected, inputs, upstream), strict=True):
        torch.testing.assert_close(
            value.cpu().double(), wanted.double(), rtol=RTOL[value.dtype], atol=1e-6 * abs(upstream)
        )
    assert not found[0][~on_device["action_mask"]].any()


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("valid", range(1, 19))
def test_every_number_of_valid_actions(objective: str, valid: int) -> None:
    compare(make_inputs(41, valid=valid), objective=objective, temperature=0.7)


@pytest.mark.parametrize("dtype", list(RTOL))
@pytest.mark.parametrize(
    ("rows", "features"), [(1, 512), (41, 401), (401, 41), (33, 1271), (1024, 512), (9001, 64)]
)
def test_sizes_and_dtypes(rows: int, features: int, dtype: torch.dtype) -> None:
    compare(make_inputs(rows, features, dtype=dtype), upstream=-2.5, beta=0.01)


def test_dtypes_mix() -> None:
    dtypes = (torch.float32, torch.bfloat16, torch.float16)
    for number, (a, b) in enumerate((a, b) for a in dtypes for b in dtypes):
        for width in (41, 264):
            inputs = make_inputs(9, width, dtype=torch.float32, seed=number)
            inputs["expert_q"] = inputs["expert_q"].to(b)
            inputs["expert_features"] = inputs["expert_features"].to(b)
            for name in ("logits", "predicted_features"):
                inputs[name] = inputs[name].detach().to(a).requires_grad_()
            compare(inputs, beta=0.25)


def test_options_and_unaligned_inputs() -> None:
    weight = torch.linspace(0.0, 2.0, 33)
    compare(make_inputs(33, 40), weight=weight, reduction="mean", feature_factor=0.5, beta=0.01)
    inputs = make_inputs(33, 40)
    on_device = to_device(inputs)
    memory = torch.empty(33 * 40 + 1, device="cuda")
    memory[1:] = on_device["expert_features"].flatten()
    on_device["expert_features"] = memory[1:].view(33, 40)  # 4 bytes past a 16-byte boundary
    found = actor_mimic_loss(**on_device, beta=0.01)
    expected = actor_mimic_loss(**inputs, beta=0.01)
    torch.testing.assert_close(found.total.cpu(), expected.total)


def test_the_same_inputs_give_the_same_bits() -> None:
    inputs = to_device(make_inputs(5000, 512))
    first = actor_mimic_loss(**inputs, beta=0.01)
    by_first = gradients(first, inputs, 1.0)
    for _ in range(20):
        again = actor_mimic_loss(**inputs, beta=0.01)
        assert torch.equal(torch.stack(first), torch.stack(again))
        for a, b in zip(by_first, gradients(again, inputs, 1.0), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_row_without_a_valid_action_gives_nan(objective: str) -> None:
    inputs = make_inputs(40)
    inputs["action_mask"][37] = False
    inputs = to_device(inputs)
    losses = actor_mimic_loss(**inputs, objective=objective)
    assert losses.total.isnan()
    assert not gradients(losses, inputs, 1.0)[0][37].any()


def test_empty_batches() -> None:
    inputs = to_device(make_inputs(0, 16))
    assert torch.stack(actor_mimic_loss(**inputs, beta=1.0)).tolist() == [0.0, 0.0, 0.0]
    assert torch.stack(actor_mimic_loss(**inputs, reduction="mean")).isnan().all()


def test_streams_are_honored() -> None:
    inputs = to_device(make_inputs(4096, 512))
    expected = actor_mimic_loss(**inputs, beta=0.01).total
    torch.cuda.synchronize()
    streams = [torch.cuda.Stream() for _ in range(4)]
    totals = []
    for _ in range(10):
        for stream in streams:
            with torch.cuda.stream(stream):
                totals.append(actor_mimic_loss(**inputs, beta=0.01).total)
    torch.cuda.synchronize()
    assert all(torch.equal(total, expected) for total in totals)


def test_devices_other_than_the_current_one_are_honored() -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("only one CUDA device")
    inputs = to_device(make_inputs(33, 41), "cuda:1")
    with torch.cuda.device(0):
        losses = actor_mimic_loss(**inputs, beta=0.01)
        assert torch.cuda.current_device() == 0
    assert losses.total.device.index == 1
    expected = actor_mimic_loss(**to_device(inputs, "cpu"), beta=0.01)
    torch.testing.assert_close(losses.total.cpu(), expected.total)


@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype feature")
def test_nothing_waits_for_the_device() -> None:
    inputs = to_device(make_inputs(64, 512))
    actor_mimic_loss(**inputs, beta=0.01).total.backward()
    try:
        # Within the try: should it warn of something else, which is an error here, the mode is on
        # already and would make every later test fail.
        torch.cuda.set_sync_debug_mode("error")
        actor_mimic_loss(**inputs, beta=0.01).total.backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_captured_launches_give_the_bits_of_eager_ones() -> None:
    inputs = to_device(make_inputs(5000, 512))
    frames, index = make_frames(50).cuda(), torch.randint(-1, 50, (37, 4)).cuda()

    def run() -> list[Tensor]:
        losses = actor_mimic_loss(**inputs, beta=0.01)
        by_inputs = gradients(losses, inputs, 1.0)
        return [torch.stack(losses).detach(), *by_inputs, gather_frames(frames, index)]

    expected = run()
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = run()
    for _ in range(3):
        for tensor in found:
            tensor.fill_(7)
        graph.replay()
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_gathered_stacks(dtype: torch.dtype, memory_format: torch.memory_format) -> None:
    frames = make_frames(50)
    index = torch.randint(-1, 50, (37, 4))
    found = gather_frames(frames.cuda(), index.cuda(), dtype=dtype, memory_format=memory_format)
    expected = gather_frames(frames, index, dtype=dtype, memory_format=memory_format)
    assert found.is_contiguous(memory_format=memory_format)
    assert torch.equal(found.cpu(), expected)


def test_a_frame_out_of_range_is_nan() -> None:
    index = torch.tensor([[0, 6, -2, -1]])
    batch = gather_frames(make_frames(6).cuda(), index.cuda())
    assert batch.isnan().flatten(2).all(2).tolist() == [[False, True, True, False]]
    assert not batch[0, 3].any()
