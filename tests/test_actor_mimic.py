"""The Actor-Mimic learner: what one update is, and what each setting changes."""

import numpy as np
import pytest
import torch

from actormimic.experts import Expert, ExpertsPolicy
from actormimic.games import minimal_actions
from actormimic.learners.actor_mimic import ActorMimicLearner
from actormimic.networks import seeded_network
from actormimic.randomness import Stream, generator
from actormimic.sections import ActorMimicSettings, NetworkSettings, OptimizerSettings

GAMES = ["pong", "breakout"]
SETS = [minimal_actions(game) for game in GAMES]


def make_experts() -> ExpertsPolicy:
    return ExpertsPolicy(
        [
            Expert(
                game,
                actions,
                seeded_network(NetworkSettings(size="nips2013", outputs="valid"), [actions], seed),
            )
            for seed, (game, actions) in enumerate(zip(GAMES, SETS, strict=True))
        ]
    )


def learner(**settings) -> ActorMimicLearner:
    return ActorMimicLearner(
        seeded_network(NetworkSettings(size="nips2013"), SETS, 7),
        make_experts(),
        GAMES,
        SETS,
        ActorMimicSettings(**settings),
        OptimizerSettings(kind="adam", learning_rate=1e-3),
        heads_seed=3,
    )


def frames(rows: int) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (rows, 4, 84, 84), dtype=np.uint8)


def batch(subject: ActorMimicLearner, rows: int = 6) -> dict[str, torch.Tensor]:
    index = np.repeat(np.arange(2, dtype=np.int32), rows // 2)
    obs = frames(rows)
    labels = {k: torch.from_numpy(v) for k, v in subject.label(obs, index).items()}
    return {"obs": torch.from_numpy(obs), "game": torch.from_numpy(index).long(), **labels}


def student_weights(subject: ActorMimicLearner) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in subject.network.parameters()])


def test_labels_are_the_experts_values():
    subject = learner()
    index = np.array([0, 0, 1], dtype=np.int32)
    labels = subject.label(frames(3), index)
    assert set(labels) == {"expert_q"} == set(subject.extras)
    expected = subject.experts.label(frames(3), index)[0].numpy()
    np.testing.assert_array_equal(labels["expert_q"], expected)


def test_the_update_is_equation_4s_gradient():
    subject = learner(temperature=0.5)
    data = batch(subject)
    logits = subject.network(data["obs"]).outputs.detach().double()
    losses = subject.update(data)
    total = 0.0
    for row, game in enumerate(data["game"].tolist()):
        valid = list(SETS[game])
        expert = torch.softmax(data["expert_q"][row, valid].double() / 0.5, dim=0)
        total -= (expert * torch.log_softmax(logits[row, valid], dim=0)).sum().item()
    assert losses["update/policy_loss"].item() == pytest.approx(total, rel=1e-5)


def test_imitation_comes_closer_to_the_experts():
    subject = learner(temperature=0.1, reduction="mean")
    data = batch(subject)
    losses = [subject.update(data)["update/loss"].item() for _ in range(40)]
    assert losses[-1] < losses[0]
    index = data["game"].numpy().astype(np.int32)
    student = subject.student.outputs(frames(6), index).argmax(dim=1)
    assert torch.equal(student, subject.experts.outputs(frames(6), index).argmax(dim=1))


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 0.1},
        {"objective": "kl"},
        {"objective": "reverse_kl"},
        {"objective": "mse"},
        {"beta": 0.5},
        {"beta": 0.5, "feature_factor": 0.5},
        {"reduction": "mean"},
        {"game_weights": {"pong": 0.5}},
        {"game_weights": {"breakout": [[0, 3.0], [10, 1.0]]}},
        {"beta": [[0, 0.5]]},
    ],
)
def test_each_setting_changes_the_loss_or_the_weights(settings):
    plain = learner(beta=0.5) if "feature_factor" in settings else learner()
    other = learner(**settings)
    before = plain.update(batch(plain))["update/loss"].item()
    after = other.update(batch(other))["update/loss"].item()
    assert before != after


def test_feature_regression_trains_heads_and_student():
    subject = learner(beta=0.5)
    assert subject.heads is not None
    assert set(subject.extras) == {"expert_q", "expert_features"}
    assert set(subject.modules()) == {"network", "heads"}
    data = batch(subject)
    first = subject.update(data)["update/feature_loss"].item()
    for _ in range(20):
        last = subject.update(data)["update/feature_loss"].item()
    assert last < first
    policy_only = learner()
    policy_only.update(batch(policy_only))
    with_features = learner(beta=0.5)
    with_features.update(batch(with_features))
    assert not torch.equal(student_weights(policy_only), student_weights(with_features)), (
        "the regression's error goes through the student's layers"
    )


def test_features_are_stored_as_asked():
    subject = learner(beta=0.5)
    labels = subject.label(frames(2), np.zeros(2, dtype=np.int32))
    assert labels["expert_features"].dtype == np.float16


@pytest.mark.parametrize("acting", ["student", "expert", "mixture"])
def test_who_acts(acting):
    subject = learner(acting=acting, expert_share=0.5)
    index = np.repeat(np.arange(2, dtype=np.int32), 32)
    seen = frames(64)
    actions = subject.act(seen, index, 0.0, generator(0, Stream.ACTING, 0))
    by_student = subject.student.outputs(seen, index).argmax(dim=1).numpy()
    by_expert = subject.experts.outputs(seen, index).argmax(dim=1).numpy()
    if acting == "student":
        assert (actions == by_student).all()
    elif acting == "expert":
        assert (actions == by_expert).all()
    else:
        assert ((actions == by_student) | (actions == by_expert)).all()
        assert not (actions == by_student).all()
        assert not (actions == by_expert).all()


@pytest.mark.parametrize("acting", ["student", "expert", "mixture"])
def test_experts_look_at_a_state_once_whoever_acts(acting, monkeypatch):
    subject = learner(acting=acting)
    calls = []
    look = subject.experts.label
    monkeypatch.setattr(subject.experts, "label", lambda *seen: calls.append(1) or look(*seen))
    index = np.repeat(np.arange(2, dtype=np.int32), 3)
    for number in range(3):
        seen = frames(6) + np.uint8(number)
        subject.act(seen, index, 0.1, generator(0, Stream.ACTING, number))
        labels = subject.label(seen, index)
        np.testing.assert_array_equal(labels["expert_q"], look(seen, index)[0].numpy())
    assert len(calls) == 3


def test_expert_share_is_a_share():
    everything = learner(acting="mixture", expert_share=1.0)
    index = np.zeros(16, dtype=np.int32)
    rng = generator(0, Stream.ACTING, 0)
    actions = everything.act(frames(16), index, 0.0, rng)
    assert (actions == everything.experts.outputs(frames(16), index).argmax(1).numpy()).all()


def test_selection_sample_draws_other_actions():
    index = np.zeros(64, dtype=np.int32)
    rng = generator(0, Stream.ACTING, 0)
    greedy = learner().act(frames(64), index, 0.0, rng)
    drawn = learner(selection="sample").act(frames(64), index, 0.0, generator(0, Stream.ACTING, 0))
    assert not (greedy == drawn).all()


def test_a_scheduled_beta_is_the_constant_one_where_it_stands():
    """Loss and gradient, after agent_steps that lie between the points."""
    scheduled, constant = learner(beta=[[0, 0.8], [100, 0.4]]), learner(beta=0.5)
    assert scheduled.at(75) == {"beta": pytest.approx(0.5)}
    assert constant.at(75) == {}
    found, expected = (subject.update(batch(subject)) for subject in (scheduled, constant))
    assert found["update/loss"].item() == pytest.approx(expected["update/loss"].item(), rel=1e-6)
    for key in ("update/policy_loss", "update/feature_loss"):
        assert torch.equal(found[key], expected[key])
    torch.testing.assert_close(
        student_weights(scheduled), student_weights(constant), rtol=0, atol=2e-6
    )


def test_beta_may_start_at_zero():
    subject = learner(beta=[[0, 0.0], [100, 0.5]])
    assert subject.heads is not None
    losses = subject.update(batch(subject))
    assert losses["update/loss"].item() == losses["update/policy_loss"].item()
    subject.at(100)
    losses = subject.update(batch(subject))
    assert losses["update/loss"].item() > losses["update/policy_loss"].item()


def test_game_weights_scale_the_losses_of_a_game_s_rows():
    def loss(**settings):
        subject = learner(**settings)
        return subject.update(batch(subject))["update/loss"].item()

    whole = loss()
    pong = loss(game_weights={"breakout": 0})
    breakout = loss(game_weights={"pong": 0})
    assert pong + breakout == pytest.approx(whole, rel=1e-6)
    assert loss(game_weights={"pong": 3, "breakout": 0.5}) == pytest.approx(
        3 * pong + 0.5 * breakout, rel=1e-6
    )


def test_game_weights_follow_their_schedules():
    subject = learner(game_weights={"pong": [[0, 1.0], [10, 0.0]], "breakout": 2.0})
    assert subject.at(5) == {"game_weight/pong": 0.5}
    expected = learner(game_weights={"pong": 0.5, "breakout": 2.0})
    assert torch.equal(
        subject.update(batch(subject))["update/loss"],
        expected.update(batch(expected))["update/loss"],
    )


def test_dagger_lets_the_expert_act_first_and_the_student_later():
    subject = learner(acting="mixture", expert_share=[[0, 1.0], [1000, 0.0]])
    index = np.repeat(np.arange(2, dtype=np.int32), 32)
    seen = frames(64)
    with torch.no_grad():
        subject.network.output[0].bias[0] += 100  # the student does nothing, the experts something
    of = {
        "expert": subject.experts.outputs(seen, index).argmax(dim=1).numpy(),
        "student": subject.student.outputs(seen, index).argmax(dim=1).numpy(),
    }
    differ = of["expert"] != of["student"]
    assert differ.sum() > 30
    shares = {}
    for agent_steps in (0, 500, 1000):
        assert subject.at(agent_steps) == {"expert_share": 1 - agent_steps / 1000}
        actions = subject.act(seen, index, 0.0, generator(0, Stream.ACTING, 1))
        shares[agent_steps] = (actions == of["expert"])[differ].mean()
    assert shares[0] == 1.0
    assert 0.2 < shares[500] < 0.8
    assert shares[1000] == 0.0


def test_the_feature_head_may_have_a_hidden_layer():
    linear, deep = learner(beta=0.5), learner(beta=0.5, feature_head="mlp")
    count = [sum(p.numel() for p in subject.heads.parameters()) for subject in (linear, deep)]
    assert count[1] > count[0]
    data = batch(deep)
    losses = [deep.update(data)["update/feature_loss"].item() for _ in range(20)]
    assert losses[-1] < losses[0]
    assert losses[0] != linear.update(data)["update/feature_loss"].item()
