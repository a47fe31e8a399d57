"""Several experts on one CPU: a process each, one after another, or as one batched network.

    python -m pytest benchmarks/bench_side_by_side.py --benchmark-only -o addopts="" -s

What is timed is one update of every expert (32 rows each, double Q-learning, Adam), which is nearly
all of what a DQN's step costs (``benchmarks/timeline.py``). The three ways take turns; a ratio is
the median over rounds of another way's time / the processes' (above 1: processes are faster).

- processes: as the settings ``expert_training.processes`` and ``processes`` have them, as many at a
  time as there are processors, one of torch's threads each;
- in turns: in one process, one expert after another, torch's threads on all processors;
- batched: in one process, the experts as one network of grouped convolutions and batched matrix
  products, torch's threads on all processors.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from actormimic.config import resolve
from actormimic.learners.dqn import DqnLearner
from actormimic.networks import AtariNetwork, NetworkOutput, seeded_network

pytestmark = pytest.mark.benchmark(timer=time.perf_counter)

ROWS = 32
ROUNDS = 9
UPDATES = 8
"""Of every expert between turns."""
ACTIONS = list(range(18))
PROCESSORS = len(os.sched_getaffinity(0))

Advance = Callable[[], None]


class BatchedNetwork(nn.Module):
    """Networks of one architecture as one; rows in the networks' order, equally many of each."""

    def __init__(self, networks: list[AtariNetwork]) -> None:
        super().__init__()
        self.count = len(networks)
        layers = [[*n.convolutions.values(), *n.hidden[0].values(), n.output[0]] for n in networks]
        self.layers = list(layers[0])
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for same in zip(*layers, strict=True):
            joined = torch.cat if isinstance(same[0], nn.Conv2d) else torch.stack
            self.weights.append(joined([layer.weight.data for layer in same]))
            self.biases.append(joined([layer.bias.data for layer in same]))

    def forward(self, frames: Tensor, *, by_game: bool = True) -> NetworkOutput:
        assert by_game
        # [count * B, 4, 84, 84] to [B, count * 4, 84, 84]: groups are channels.
        each = frames.view(self.count, -1, *frames.shape[1:]).transpose(0, 1).flatten(1, 2)
        x = each.to(torch.float32)
        layers = zip(self.layers, self.weights, self.biases, strict=True)
        for number, (layer, weight, bias) in enumerate(layers):
            if isinstance(layer, nn.Conv2d):
                scaled = weight * (1 / 255) if number == 0 else weight
                x = functional.conv2d(
                    x, scaled, bias, layer.stride, layer.padding, groups=self.count
                ).relu()
                continue
            if x.dim() == 4:  # [B, count * C, h, w] to [count, B, C * h * w]
                x = x.reshape(len(x), self.count, -1).transpose(0, 1)
            features = x
            x = torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))
            if number + 1 < len(self.layers):
                x = x.relu()
        return NetworkOutput(x.flatten(0, 1), features.flatten(0, 1))


def settings_of(size: str) -> Any:
    return resolve({"task": "dqn", "preset": "fast", "game": "breakout", "network": {"size": size}})


def batch_of(experts: int, seed: int) -> dict[str, Tensor]:
    rng = np.random.default_rng(seed)
    frames = (experts * ROWS, 4, 84, 84)
    return {
        "obs": torch.from_numpy(rng.integers(0, 256, frames, np.uint8)),
        "next_obs": torch.from_numpy(rng.integers(0, 256, frames, np.uint8)),
        "actions": torch.from_numpy(rng.integers(0, 18, experts * ROWS)),
        "rewards": torch.from_numpy(rng.standard_normal(experts * ROWS, np.float32)),
        "discounts": torch.full((experts * ROWS,), 0.99),
        "game": torch.arange(experts).repeat_interleave(ROWS),
    }


def updates_of(size: str, experts: int, network: nn.Module, batch: dict[str, Tensor]) -> Advance:
    """What makes ``UPDATES`` updates of ``experts`` experts that ``network`` holds."""
    settings = settings_of(size)
    names = [f"game{number}" for number in range(experts)]
    learner = DqnLearner(network, names, [ACTIONS] * experts, settings.dqn, settings.optimizer)

    def advance() -> None:
        for _ in range(UPDATES):
            learner.update(batch)

    return advance


def alone(size: str, seed: int) -> Advance:
    network = seeded_network(settings_of(size).network, [ACTIONS], seed)
    return updates_of(size, 1, network, batch_of(1, seed))


def in_turns(size: str, experts: int) -> Advance:
    each = [alone(size, seed) for seed in range(experts)]

    def advance() -> None:
        for one in each:
            one()

    return advance


def batched(size: str, experts: int) -> Advance:
    networks = [seeded_network(settings_of(size).network, [ACTIONS], s) for s in range(experts)]
    network, batch = BatchedNetwork(networks), batch_of(experts, 0)
    with torch.no_grad():
        each = zip(networks, batch["obs"].split(ROWS), strict=True)
        apart = torch.cat([own(rows, by_game=True).outputs for own, rows in each])
        torch.testing.assert_close(network(batch["obs"]).outputs, apart)
    return updates_of(size, experts, network, batch)


def work(pipe: Connection, size: str, seeds: list[int]) -> None:
    """A process of its own: all its experts' updates each time it is told to."""
    torch.set_num_threads(1)
    each = [alone(size, seed) for seed in seeds]
    pipe.send("ready")
    while pipe.recv():
        for one in each:
            one()
        pipe.send("done")


@contextmanager
def processes(size: str, experts: int) -> Iterator[Advance]:
    spawn = multiprocessing.get_context("spawn")
    pipes, started = [], []
    for number in range(min(PROCESSORS, experts)):
        pipe, other = spawn.Pipe()
        seeds = list(range(number, experts, PROCESSORS))
        started.append(spawn.Process(target=work, args=(other, size, seeds), daemon=True))
        started[-1].start()
        pipes.append(pipe)
    for pipe in pipes:
        pipe.recv()

    def advance() -> None:
        for pipe in pipes:
            pipe.send(True)
        for pipe in pipes:
            pipe.recv()

    yield advance
    for pipe in pipes:
        pipe.send(False)
    for process in started:
        process.join()


@pytest.mark.parametrize("experts", [PROCESSORS, 4 * PROCESSORS])
@pytest.mark.parametrize("size", ["nips2013", "small"])
def test_updates_of_several_experts(benchmark: Any, size: str, experts: int) -> None:
    torch.set_num_threads(PROCESSORS)
    others = {"in turns": in_turns(size, experts), "batched": batched(size, experts)}
    times: dict[str, list[float]] = {name: [] for name in others}

    def setup() -> None:
        for name, advance in others.items():
            begin = time.perf_counter()
            advance()
            times[name].append(time.perf_counter() - begin)

    with processes(size, experts) as own:
        own()
        setup()
        benchmark.pedantic(own, setup=setup, rounds=ROUNDS)
    mine = np.array(benchmark.stats.stats.data)
    total = experts * UPDATES
    report = {"updates_per_second": round(total / float(np.median(mine)), 1)}
    for name, seconds in times.items():
        theirs = np.array(seconds[-len(mine) :])
        report[f"{name}_updates_per_second"] = round(total / float(np.median(theirs)), 1)
        report[f"ratio_to_{name}"] = round(float(np.median(theirs / mine)), 2)
    benchmark.extra_info.update(report)
    print(f"\n{experts} experts, {size}: {report}")
