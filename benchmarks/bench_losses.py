"""The fused loss, forward and backward, against eager torch, ``torch.compile`` and the memory.

    python -m pytest benchmarks/bench_losses.py --benchmark-only -o addopts=""
    python benchmarks/bench_losses.py              # paired ratios: a line of JSON per figure

Pytest's table times each function by itself. Ratios mean something only when the sides take turns
on the same machine: the second command measures them so, ours, theirs, ours, theirs, and reports
the medians of the single ratios. On the CPU everything runs on one thread. With ``--device cuda``
the times are those of replays of CUDA graphs, and Liger's nearest kernel joins in where
``liger_kernel`` is installed.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from actormimic import losses
from actormimic._binding import core
from actormimic.distillation_loss import distillation_loss, unit_gradient

FEATURES = 512
BETA = 0.01
Inputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
Run = Callable[[], object]
Loss = Callable[..., Tensor]
ROWS_CUDA = (64, 1024, 65536, 262144)


def make_inputs(rows: int, device: str = "cpu") -> Inputs:
    generator = torch.Generator().manual_seed(0)
    mask = torch.rand(rows, 18, generator=generator) > 0.5
    mask[:, 0] = True
    shapes = ((rows, 18), (rows, 18), (rows, FEATURES), (rows, FEATURES))
    z, q, f, h = (torch.randn(*shape, generator=generator).to(device) for shape in shapes)
    return z.requires_grad_(), q, mask.to(device), f.requires_grad_(), h


def plain_loss(z: Tensor, q: Tensor, mask: Tensor, f: Tensor, h: Tensor) -> Tensor:
    """Equations 3 to 6 as one writes them in torch; also the source of the compiled version."""
    lowest = torch.finfo(z.dtype).min
    target = torch.softmax(q.masked_fill(~mask, lowest), dim=1)
    log_policy = torch.log_softmax(z.masked_fill(~mask, lowest), dim=1)
    return -(target * log_policy).sum() + BETA * (f - h).square().sum()


def fused_loss(z: Tensor, q: Tensor, mask: Tensor, f: Tensor, h: Tensor) -> Tensor:
    return losses.actor_mimic_loss(
        z, q, mask, predicted_features=f, expert_features=h, beta=BETA
    ).total


def forward_and_backward(loss: Loss, inputs: Inputs) -> Run:
    leaves = [inputs[0], inputs[3]]
    one = unit_gradient(inputs[0])  # as the learner does it
    return lambda: torch.autograd.grad(loss(*inputs), leaves, one, allow_unused=True)


def entry_point(inputs: Inputs) -> Run:
    """The C++ function alone, into memory that is there."""
    z, q, mask, f, h = inputs
    outputs = [torch.empty(()), torch.empty(()), torch.empty(())]
    outputs += [torch.empty_like(z), torch.empty_like(f)]
    batch = core.DistillationBatch()
    batch.rows, batch.features = z.shape[0], FEATURES
    batch.logits, batch.expert_q = (z.data_ptr(), 0), (q.data_ptr(), 0)
    batch.predicted_features, batch.expert_features = (f.data_ptr(), 0), (h.data_ptr(), 0)
    batch.action_mask = mask.data_ptr()
    batch.total, batch.policy, batch.feature, batch.logits_gradient, batch.features_gradient = (
        output.data_ptr() for output in outputs
    )
    settings = core.DistillationSettings(
        objective=0, temperature=1.0, feature_scale=BETA, mean=False
    )

    def run(kept: object = (inputs, outputs)) -> None:
        core.distillation_loss(settings, batch)

    return run


def bytes_moved(rows: int) -> int:
    """Read z, Q, mask, f, h; write both gradients, in float32."""
    return rows * (4 * 3 * 18 + 18 + 4 * 3 * FEATURES)


def copy_of(size: int, device: str = "cpu") -> Run:
    """A copy that reads and writes ``size`` bytes together."""
    # Zeros would not do: fresh ones are one page of the kernel's, and a GPU may compress them.
    source = torch.randint(0, 256, (size // 2,), dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    return lambda: target.copy_(source)


@pytest.fixture(autouse=True)
def one_thread() -> object:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


SIDES = {
    "fused": lambda inputs: forward_and_backward(fused_loss, inputs),
    "entry_point": entry_point,
    "eager": lambda inputs: forward_and_backward(plain_loss, inputs),
    "compiled": lambda inputs: forward_and_backward(
        torch.compile(plain_loss, fullgraph=True, dynamic=False), inputs
    ),
}


@pytest.mark.parametrize("rows", [64, 1024, 4096])
@pytest.mark.parametrize("side", SIDES)
def test_forward_and_backward(benchmark, side: str, rows: int) -> None:
    benchmark.group = f"{rows} rows"
    run = SIDES[side](make_inputs(rows))
    run()
    benchmark(run)


def seconds(run: Run, repeats: int) -> float:
    begin = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - begin) / repeats


def paired(ours: Run, theirs: Run, rounds: int = 9) -> tuple[float, float, float]:
    """Median seconds of both sides and the median of theirs / ours, taken in turns."""
    repeats = max(3, int(0.02 / max(seconds(ours, 3), seconds(theirs, 3))))
    pairs = [(seconds(ours, repeats), seconds(theirs, repeats)) for _ in range(rounds)]
    ratio = statistics.median(b / a for a, b in pairs)
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs), ratio


def replayed(run: Run) -> Run:
    """The run captured as a CUDA graph; returns its replay."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(20):
            run()
    return graph.replay


def device_seconds(run: Run) -> float:
    """Seconds of one of the 20 runs in a replay: the median of 15 replays."""
    replay = replayed(run)
    times = []
    for _ in range(15):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        replay()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) * 1e-3 / 20)
    return statistics.median(times)


def launched_seconds(run: Run) -> float:
    """Seconds of one of 20 runs without a graph, the time of their launches included."""
    run()
    times = []
    for _ in range(15):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        for _ in range(20):
            run()
        torch.cuda.synchronize()
        times.append((time.perf_counter() - begin) / 20)
    return statistics.median(times)


def report(figure: str, **values: object) -> None:
    print(json.dumps({"figure": figure, **values}), flush=True)


def report_cpu() -> None:
    torch.set_num_threads(1)
    for rows in (1, 64, 256, 1024, 4096):
        inputs = make_inputs(rows)
        runs = {side: make(inputs) for side, make in SIDES.items()}
        for run in runs.values():
            for _ in range(3):
                run()
        for ours in ("fused", "entry_point"):
            for theirs in ("eager", "compiled"):
                a, b, ratio = paired(runs[ours], runs[theirs])
                report(
                    f"{theirs} / {ours}",
                    rows=rows,
                    ratio=round(ratio, 2),
                    ours_us=round(a * 1e6, 1),
                    theirs_us=round(b * 1e6, 1),
                )
        kernel, copy, ratio = paired(runs["entry_point"], copy_of(bytes_moved(rows)))
        report(
            "bandwidth of the entry point / of memcpy",
            rows=rows,
            ratio=round(ratio, 2),
            ours_gb_per_s=round(bytes_moved(rows) / kernel / 1e9, 1),
            memcpy_gb_per_s=round(bytes_moved(rows) / copy / 1e9, 1),
        )


def report_cuda() -> None:
    """The kernels first: what follows needs more of others, and more can fail there."""
    from bench_device_frames import report_gather

    one = torch.zeros(1, device="cuda")
    empty = device_seconds(lambda: one.add_(0))  # one thread's work: the cost of a launch
    report("a launch with next to no work", us=round(empty * 1e6, 2))
    for rows in ROWS_CUDA:
        leaves = [tensor.detach() for tensor in make_inputs(rows, "cuda")]
        options = (None, "cross_entropy", 1.0, BETA, False, True, True)
        kernel = device_seconds(partial(distillation_loss, *leaves, *options))
        copy = device_seconds(copy_of(bytes_moved(rows), "cuda"))
        report(
            "kernel",
            rows=rows,
            us=round(kernel * 1e6, 2),
            times_a_launch=round(kernel / empty, 2),
            share_of_copy_bandwidth=round(copy / kernel, 3),
        )
    report_gather(device_seconds, copy_of, report)
    # Eager torch, then what its compiler makes of it.
    beside("eager", lambda: plain_loss, fused_loss)
    beside("compiled", lambda: torch.compile(plain_loss, fullgraph=True, dynamic=False), fused_loss)
    # Its backward pass looks at the upstream gradient, which no graph can hold.
    beside("softmaxes and Liger's kl_div", liger_loss, fused_policy_loss, launched_seconds)


def beside(
    name: str,
    make: Callable[[], Loss],
    ours: Loss,
    backward_seconds: Callable[[Run], float] = device_seconds,
) -> None:
    """Report ``ours`` beside another loss, whole and its forward pass alone; where that cannot run,
    why not."""
    try:
        theirs = make()
        for rows in ROWS_CUDA:
            inputs = make_inputs(rows, "cuda")
            for what, seconds_of, run in (
                ("forward", device_seconds, lambda loss, inputs=inputs: partial(loss, *inputs)),
                ("", backward_seconds, partial(forward_and_backward, inputs=inputs)),
            ):
                a, b = seconds_of(run(ours)), seconds_of(run(theirs))
                report(
                    f"{name} / fused {what}".rstrip(),
                    rows=rows,
                    ratio=round(b / a, 2),
                    ours_us=round(a * 1e6, 2),
                    theirs_us=round(b * 1e6, 2),
                )
    except Exception as error:  # of a compiler, of any kind: it is not to cost the other figures
        reason = str(error).strip().partition("\n")[0]
        report(f"{name} / fused", ended_by=f"{type(error).__name__}: {reason}")


def liger_loss() -> Loss:
    """Liger has no masked distillation: its divergence of policies that torch's softmaxes give."""
    from liger_kernel.transformers.kl_div import LigerKLDIVLoss

    divergence = LigerKLDIVLoss(reduction="sum")

    def loss(z: Tensor, q: Tensor, mask: Tensor, f: Tensor, h: Tensor) -> Tensor:
        lowest = torch.finfo(z.dtype).min
        target = torch.softmax(q.masked_fill(~mask, lowest), dim=1)
        return divergence(torch.log_softmax(z.masked_fill(~mask, lowest), dim=1), target)

    return loss


def fused_policy_loss(z: Tensor, q: Tensor, mask: Tensor, f: Tensor, h: Tensor) -> Tensor:
    return losses.actor_mimic_loss(z, q, mask, objective="kl").total


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    device = parser.parse_args().device
    report(
        "machine",
        processor=platform.processor() or platform.machine(),
        torch=torch.__version__,
        device=torch.cuda.get_device_name() if device == "cuda" else "cpu, one thread",
    )
    report_cuda() if device == "cuda" else report_cpu()
