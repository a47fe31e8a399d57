"""Archives of Stable-Baselines3: equal Q-values, nothing executed, bombs refused unopened."""

import base64
import io
import json
import pickle
import zipfile
from collections import OrderedDict

import pytest
import torch
from test_foreign_weights import Bomb, QNetwork, assert_same_values, refusal, states

from actormimic import experts, foreign_weights
from actormimic.games import minimal_actions


def archive_of(path, members, compression=zipfile.ZIP_STORED):
    """As Stable-Baselines3 writes it; weights hardly deflate and take long to."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def state_bytes(state) -> bytes:
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def stable_baselines_state(outputs: int, seed: int = 5):
    """A state dict with the names that Stable-Baselines3's CnnPolicy of a DQN gives its layers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = QNetwork(outputs)
    places = ["features_extractor.cnn.0", "features_extractor.cnn.2", "features_extractor.cnn.4"]
    places += ["features_extractor.linear.0", "q_net.0"]
    tensors = list(network.state_dict().values())
    state = OrderedDict()
    for prefix, sign in (("q_net", 1), ("q_net_target", -1)):
        for number, place in enumerate(places):
            state[f"{prefix}.{place}.weight"] = sign * tensors[2 * number]
            state[f"{prefix}.{place}.bias"] = sign * tensors[2 * number + 1]
    return network, state


ABOUT = {"policy_class": {"__module__": "stable_baselines3.dqn.policies"}, "policy_kwargs": {}}


def test_an_archive_s_online_network_is_taken(tmp_path):
    network, state = stable_baselines_state(6)
    members = {"data": json.dumps(ABOUT), "policy.pth": state_bytes(state)}
    for path, compression in (
        (tmp_path / "m.zip", zipfile.ZIP_STORED),
        (tmp_path / "deflated.zip", zipfile.ZIP_DEFLATED),
    ):
        archive_of(path, members, compression)
        assert_same_values(experts.load(path, "pong"), network, minimal_actions("pong"))
    # The same tensors as ``policy.state_dict()`` or ``q_net.state_dict()`` in a file of their own.
    torch.save(state, tmp_path / "m.pth")
    assert_same_values(experts.load(tmp_path / "m.pth", "pong"), network, minimal_actions("pong"))


@pytest.mark.parametrize("value", [False, "False"])
def test_an_archive_says_whether_pixels_are_scaled(tmp_path, value):
    network, state = stable_baselines_state(6)
    network.scale = 1.0
    about = {**ABOUT, "policy_kwargs": {":type:": "<class 'dict'>", "normalize_images": value}}
    archive_of(tmp_path / "m.zip", {"data": json.dumps(about), "policy.pth": state_bytes(state)})
    expert = experts.load(tmp_path / "m.zip", "pong")
    with torch.no_grad():
        expected = network(states())
    found = expert.q(states())[:, list(minimal_actions("pong"))]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=0)
    assert "pixels is 'unit', but" in refusal(tmp_path / "m.zip", pixels="unit")


def test_pickles_in_an_archive_s_json_are_not_decoded(tmp_path):
    marker = tmp_path / "ran"
    network, state = stable_baselines_state(6)
    bomb = base64.b64encode(pickle.dumps(Bomb(marker))).decode()
    about = {
        "policy_class": {":serialized:": bomb, "__module__": "stable_baselines3.dqn.policies"},
        "policy_kwargs": {":serialized:": bomb},
        "lr_schedule": {":serialized:": bomb},
    }
    archive_of(tmp_path / "m.zip", {"data": json.dumps(about), "policy.pth": state_bytes(state)})
    assert_same_values(experts.load(tmp_path / "m.zip", "pong"), network, minimal_actions("pong"))
    state["bomb"] = Bomb(marker)
    archive_of(tmp_path / "m.zip", {"data": json.dumps(about), "policy.pth": state_bytes(state)})
    assert "holds the Python object posix.mkdir, which is not run" in refusal(tmp_path / "m.zip")
    assert not marker.exists()


def test_other_archives_are_refused(tmp_path):
    path = tmp_path / "m.zip"
    _, state = stable_baselines_state(6)
    good = {"data": json.dumps(ABOUT), "policy.pth": state_bytes(state)}
    for change, message in (
        (
            {"data": json.dumps({"policy_class": {"__module__": "stable_baselines3.common.p"}})},
            "holds a model of stable_baselines3.common.p; expected: stable_baselines3.dqn",
        ),
        ({"data": b"\xff{"}, "its data is no JSON"),
        ({"data": b"[" * 100_000}, "its data is no JSON"),
        ({"data": b"[]"}, "its data is no JSON object"),
        (
            {"data": json.dumps({**ABOUT, "policy_kwargs": {"normalize_images": "maybe\n"}})},
            "normalize_images is maybe; expected: true or false",
        ),
        ({"policy.pth": b"nothing"}, "is damaged or no file of torch.save"),
    ):
        archive_of(path, {**good, **change})
        assert message in refusal(path)
    archive_of(path, {"policy.pth": good["policy.pth"]})
    assert "has no member data; expected: data and policy.pth" in refusal(path)
    # A member whose bytes were changed after its checksum was written.
    archive_of(path, good)
    content = bytearray(path.read_bytes())
    content[content.find(b"stable_baselines3")] ^= 1
    path.write_bytes(content)
    assert "its data is damaged: Bad CRC-32" in refusal(path)


def test_bombs_are_refused_before_they_are_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(foreign_weights, "_MOST_BYTES", 1 << 20)
    path = tmp_path / "bomb.zip"
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(3 << 20))
    for members, message in (
        ({"data": "{}", "policy.pth": bytes(2 << 20)}, "its policy.pth is 2,097,152 bytes;"),
        ({"data": bytes(2 << 20), "policy.pth": b""}, "its data is 2,097,152 bytes;"),
        ({"data": "{}", "policy.pth": inner.getvalue()}, "its archive/data.pkl is 3,145,728"),
        ({f"{n}": bytes(1 << 19) for n in range(5)}, "bomb.zip is 2,621,440 bytes;"),
    ):
        archive_of(path, members, zipfile.ZIP_DEFLATED)
        assert path.stat().st_size < 1 << 16
        line = refusal(path)
        assert message in line
        assert "expected: at most 1,048,576" in line
    path.write_bytes(bytes(2 << 20))
    assert "bomb.zip is 2,097,152 bytes; expected: at most" in refusal(path)


def test_stable_baselines3_gives_the_same_values(tmp_path):
    """A DQN of Stable-Baselines3 itself, trained for a moment on Pong through its own wrappers."""
    reason = "stable-baselines3 is not installed (pip install '.[test]')"
    stable_baselines3 = pytest.importorskip("stable_baselines3", reason=reason)
    import ale_py
    import gymnasium
    from stable_baselines3.common.atari_wrappers import AtariWrapper
    from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack

    gymnasium.register_envs(ale_py)
    env = VecFrameStack(
        DummyVecEnv([lambda: AtariWrapper(gymnasium.make("ALE/Pong-v5", frameskip=1))]), 4
    )
    model = stable_baselines3.DQN(
        "CnnPolicy", env, buffer_size=200, learning_starts=20, batch_size=8, seed=1, device="cpu"
    )
    untrained = {name: value.clone() for name, value in model.q_net.state_dict().items()}
    model.learn(60)
    trained = model.q_net.state_dict()
    assert any(not torch.equal(trained[name], untrained[name]) for name in trained)
    model.save(tmp_path / "pong.zip")
    expert = experts.load(tmp_path / "pong.zip", "pong")
    # Its frames are [84, 84, 4], the newest last, until the policy transposes them.
    observations = model.get_env().reset()
    for _ in range(5):
        actions, _ = model.predict(observations, deterministic=True)
        before = observations
        observations, _, _, _ = model.get_env().step(actions)
        assert observations.shape == (1, 4, 84, 84)
        assert (observations[:, :-1] == before[:, 1:]).all(), "the newest is last"
        batch = torch.from_numpy(observations)
        with torch.no_grad():
            expected = model.q_net(batch)
        found = expert.q(batch)[:, list(minimal_actions("pong"))]
        torch.testing.assert_close(found, expected, atol=2e-5, rtol=2e-5)
        assert (model.predict(observations, deterministic=True)[0] == found.argmax(1).numpy()).all()
    env.close()
