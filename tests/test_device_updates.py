"""Updates from mirrored rings: the batches, the static update, and a training that uses them."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from test_training import make_learner, run_training, settings, weights

from actormimic.learners.batches import ReplayBatches
from actormimic.learners.device_updates import CapturedUpdate, DeviceBatches
from actormimic.training import Training

CPU = torch.device("cpu")


def updated(learner, batches):
    return learner.update(batches.draw())


def played(task: str, beta: float = 0.0, **changes):
    """A training that has played, its rings full enough to have wrapped."""
    changes = {"replay": {"capacity": 60}, **changes}
    run = settings(task, training={"learn_start": 10_000, "agent_steps": 20_000}, **changes)
    training = Training(run, make_learner(run, beta=beta))
    steps = training.steps()
    for _ in range(50):
        next(steps)
    return run, training


@pytest.mark.parametrize(("task", "beta"), [("dqn", 0.0), ("actor_mimic", 0.01)])
def test_batches_are_those_of_the_host(task, beta):
    run, training = played(task, beta)
    learner = training.learner
    host = ReplayBatches(training.rings, 8, learner.draws, learner.extras, run.seed, CPU)
    mirrored = DeviceBatches(
        training.rings, 8, learner.draws, learner.extras, run.seed, CPU, torch.float32
    )
    mirrored.counter.fill_(3)
    for update in (3, 4, 5):
        expected, found = host.draw(update), mirrored.draw()
        assert expected.keys() == found.keys()
        for name, tensor in expected.items():
            if name in ("obs", "next_obs"):
                assert found[name].is_contiguous(memory_format=torch.channels_last)
                tensor = tensor.float() * (1 / 255)
            assert torch.equal(found[name], tensor), name
    training.close()


@pytest.mark.parametrize(
    ("task", "beta"),
    [
        *(("dqn", 0.0), ("multitask_dqn", 0.0)),
        *(("actor_mimic", 0.01), ("actor_mimic", [[0, 0.5], [5, 0.01]])),
    ],
)
def test_the_update_on_static_tensors_gives_the_bytes_of_the_eager_one(task, beta):
    run, training = played(task, beta)
    ends = []
    for static in (False, True):
        learner = make_learner(run, beta=beta)
        arguments = (training.rings, 8, learner.draws, learner.extras, run.seed, CPU)
        batches = DeviceBatches(*arguments, torch.float32)
        if static:
            update = CapturedUpdate(partial(updated, learner, batches), CPU)
        else:
            # Fresh copies each time: nothing may depend on the tensors being the same ones.
            def update(learner=learner, batches=batches):
                return learner.update({name: t.clone() for name, t in batches.draw().items()})

        metrics = []
        for agent_steps in range(6):
            learner.at(agent_steps)  # what is scheduled changes from update to update
            metrics.append(update())
        ends.append((weights(learner), [float(m["update/loss"]) for m in metrics]))
    assert ends[0] == ends[1]
    assert len(set(ends[0][1])) > 1
    training.close()


@pytest.mark.parametrize("task", ["dqn", "actor_mimic"])
def test_a_training_from_mirrored_rings_learns_what_the_host_would(task, tmp_path: Path):
    ends = {}
    for residence in ("host", "device", "auto"):
        run = settings(task, replay={"residence": residence}, exploration={"end": 1.0})
        learner = make_learner(run)
        start = np.frombuffer(weights(learner), np.float32)
        training = Training(run, learner)
        for _ in training.steps():
            pass
        assert training.updates > 10
        training.close()
        ends[residence] = np.frombuffer(weights(learner), np.float32)
    # The same rows, actions all random; but pixels are scaled before the first layer or within it,
    # and where a gradient is next to nothing Adam's step may then go either way.
    moved = np.abs(ends["host"] - start).mean()
    assert np.abs(ends["device"] - ends["host"]).mean() < 0.01 * moved
    assert (ends["device"] != ends["host"]).any()
    assert (ends["auto"] == ends["host"]).all()  # no GPU: batches are gathered by the rings


def test_a_training_from_mirrored_rings_goes_on_with_the_same_bytes(tmp_path: Path):
    ends = []
    for stops in ((90,), (60, 90)):
        for agent_steps in stops:
            run = settings(
                "actor_mimic",
                replay={"residence": "device"},
                training={"agent_steps": agent_steps},
            )
            learner = make_learner(run, beta=0.01)
            run_training(run, learner, tmp_path / str(len(stops)))
        ends.append(weights(learner))
    assert ends[0] == ends[1]


@pytest.mark.cuda
@pytest.mark.parametrize(
    ("task", "beta"), [("dqn", 0.0), ("multitask_dqn", 0.0), ("actor_mimic", 0.01)]
)
def test_a_captured_update_learns_what_an_eager_one_does(task, beta):
    # Adam's step is of full size however small the gradient, so where that is next to nothing the
    # order of a sum would decide about its sign; epsilon 0.01 makes it as small as the gradient.
    run, training = played(task, beta, optimizer={"kind": "centered_rmsprop"})
    device = torch.device("cuda")
    ends = []
    for capture in (False, True):
        learner = make_learner(run, beta=beta, device=device)
        batches = DeviceBatches(
            training.rings, 8, learner.draws, learner.extras, run.seed, device, torch.float32
        )
        update = CapturedUpdate(partial(updated, learner, batches), device, capture=capture)
        losses = [float(update()["update/loss"]) for _ in range(12)]
        assert batches.counter.item() == 12
        ends.append((losses, [p.detach().cpu() for p in learner.modules()["network"].parameters()]))
    # Convolutions may add up in another order under capture; the rows drawn are the same.
    torch.testing.assert_close(
        torch.tensor(ends[1][0]), torch.tensor(ends[0][0]), rtol=1e-3, atol=1e-4
    )
    for eager, captured in zip(ends[0][1], ends[1][1], strict=True):
        torch.testing.assert_close(captured, eager, rtol=1e-2, atol=1e-4)
    training.close()


@pytest.mark.cuda
@pytest.mark.parametrize(("task", "precision"), [("actor_mimic", "bfloat16"), ("dqn", "float32")])
def test_a_training_on_a_gpu_learns_what_it_does_without_a_graph(
    task, precision, monkeypatch, tmp_path
):
    """Rows appended between replays, Adam, a step size and a beta that change, a resumed run."""
    ends = {}
    runs = (("graph", True, (90,)), ("none", False, (90,)), ("resumed", True, (60, 90)))
    for name, capture, stops in runs:
        monkeypatch.setattr(
            "actormimic.learners.device_updates.CapturedUpdate",
            partial(CapturedUpdate, capture=capture),
        )
        for agent_steps in stops:
            run = settings(
                task,
                precision=precision,
                replay={"residence": "device"},
                exploration={"end": 1.0},
                optimizer={"kind": "adam", "learning_rate": [[0, 1e-3], [90, 1e-5]]},
                training={"agent_steps": agent_steps},
            )
            beta = [[0, 0.5], [90, 0.01]] if task == "actor_mimic" else None
            learner = make_learner(run, beta=beta, device=torch.device("cuda"))
            network = learner.modules()["network"]
            start = torch.cat([p.detach().flatten().cpu() for p in network.parameters()])
            run_training(run, learner, tmp_path / name)
        ends[name] = torch.cat([p.detach().flatten().cpu() for p in network.parameters()])
    moved = (ends["none"] - start).abs().mean()
    assert moved > 0
    # The same rows, since all actions are random; where a gradient is next to nothing, the order of
    # a sum decides which way Adam steps.
    for name in ("graph", "resumed"):
        assert (ends[name] - ends["none"]).abs().mean() < 0.1 * moved, name
