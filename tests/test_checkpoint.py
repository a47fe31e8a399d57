"""Weights files and training checkpoints: round trips, damage, interruption, a full disk."""

import errno
import json
import os
import pickle

import pytest
import torch
from safetensors.torch import save_file

import actormimic
from actormimic.checkpoint import CheckpointStore, WeightsHeader, load_weights, save_weights

HEADER = WeightsHeader(
    kind="actor_mimic",
    games=("pong", "breakout"),
    action_sets=((0, 1, 3, 4, 11, 12), (0, 1, 3, 4)),
    network={"size": "small", "outputs": "all"},
    settings={"seed": 3, "optimizer": {"learning_rate": 2.5e-4}},
    agent_steps=1234,
)


def tensors():
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(5, 7, generator=generator)
    return {
        "weight": weight,
        "tied": weight,
        "transposed": weight.t(),
        "half": weight.to(torch.bfloat16),
        "scalar": torch.tensor(3.5, dtype=torch.float64),
        "empty": torch.zeros(0, 4),
        "state": torch.arange(9, dtype=torch.uint8),
    }


def assert_equal_tensors(found, expected):
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor), name


def test_weights_come_back_with_their_header(tmp_path):
    path = tmp_path / "student.safetensors"
    save_weights(path, tensors(), HEADER)
    found, header = load_weights(path)
    assert header == HEADER
    assert header.actormimic_version == actormimic.__version__
    assert header.torch_version == torch.__version__
    assert_equal_tensors(found, tensors())
    assert os.listdir(tmp_path) == ["student.safetensors"]


def test_equal_weights_make_equal_files(tmp_path):
    for name in ("a", "b"):
        save_weights(tmp_path / f"{name}.safetensors", tensors(), HEADER)
    a, b = ((tmp_path / f"{name}.safetensors").read_bytes() for name in ("a", "b"))
    assert a == b


def test_every_damaged_byte_is_noticed(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, {"weight": torch.ones(3)}, HEADER)
    content = path.read_bytes()
    for position in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[position] ^= 0x11
        path.write_bytes(damaged)
        # A byte of the padding or of a name's spelling is caught by the checksum as well.
        with pytest.raises(ValueError, match=r"w\.safetensors") as caught:
            load_weights(path)
        assert "\n" not in str(caught.value)


def test_a_file_that_a_killed_process_left_goes_with_the_next_one(tmp_path):
    left = tmp_path / ".unfinished-123-w.safetensors"
    other = tmp_path / ".unfinished-123-v.safetensors"
    for path in (left, other):
        path.write_bytes(b"x")
    save_weights(tmp_path / "w.safetensors", {"a": torch.ones(1)}, HEADER)
    assert sorted(path.name for path in tmp_path.iterdir()) == [other.name, "w.safetensors"]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_truncated_files_are_refused(tmp_path, share):
    path = tmp_path / "w.safetensors"
    save_weights(path, tensors(), HEADER)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ValueError, match=r"w\.safetensors is damaged or no safetensors"):
        load_weights(path)


def test_foreign_files_are_refused_and_never_executed(tmp_path):
    path = tmp_path / "w.safetensors"
    with pytest.raises(ValueError, match="does not exist"):
        load_weights(path)
    save_file({"weight": torch.ones(3)}, path, metadata={"format": "pt"})
    with pytest.raises(ValueError, match="was not written by actormimic"):
        load_weights(path)

    class Bomb:
        def __reduce__(self):
            return open, (str(tmp_path / "exploded"), "w")

    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="is damaged or no safetensors"):
        load_weights(path)
    assert not (tmp_path / "exploded").exists()


def rewrite_header(path, change):
    found, _ = load_weights(path)
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["actormimic"])
    change(about)
    save_file(found, path, metadata={"actormimic": json.dumps(about)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda about: about.update(format=99), "has format 99; allowed: 1"),
        (lambda about: about.update(agent_steps=5), "its checksum does not match"),
        (lambda about: about.pop("checksum"), "its header is incomplete"),
        (lambda about: about.pop("format"), "its header is incomplete"),
    ],
)
def test_changed_headers_are_refused(tmp_path, change, message):
    path = tmp_path / "w.safetensors"
    save_weights(path, tensors(), HEADER)
    rewrite_header(path, change)
    with pytest.raises(ValueError, match=message):
        load_weights(path)


def test_headers_and_names_are_checked_when_written(tmp_path):
    with pytest.raises(ValueError, match=r"allowed: a name that ends in \.safetensors"):
        save_weights(tmp_path / "w.pt", tensors(), HEADER)
    with pytest.raises(ValueError, match="action_sets has 0 entries"):
        WeightsHeader("dqn", ("pong",), (), {}, {}, 0)


VALUES = {"updates": 7, "rng": {"state": 2**127 + 1}, "score": 0.1 + 0.2, "name": "\N{SNOWMAN}"}


def write_ring(path):
    path.write_bytes(b"ring" * 1000)


def save(store, agent_steps, **more):
    return store.save(
        agent_steps,
        {**tensors(), "step": torch.tensor(agent_steps)},
        {**VALUES, "at": agent_steps},
        files={"pong.ring": write_ring, "log.json": lambda path: path.write_text("{}")},
        **more,
    )


def test_a_checkpoint_comes_back(tmp_path):
    store = CheckpointStore(tmp_path / "checkpoints", keep=2)
    assert store.newest() is None
    save(store, 100)
    found = CheckpointStore(tmp_path / "checkpoints", keep=2).newest()
    assert found.agent_steps == 100
    assert found.values == {**VALUES, "at": 100}
    assert_equal_tensors(found.tensors, {**tensors(), "step": torch.tensor(100)})
    assert found.path("pong.ring").read_bytes() == b"ring" * 1000
    with pytest.raises(KeyError, match="has no file other"):
        found.path("other")


def test_the_last_few_are_kept_each_whole(tmp_path):
    store = CheckpointStore(tmp_path, keep=2)
    folders = [save(store, steps) for steps in (100, 200, 300, 300)]
    assert sorted(tmp_path.iterdir()) == folders[2:]
    assert all((folder / "pong.ring").exists() for folder in folders[2:])
    assert store.newest().folder == folders[3]


def test_keep_one(tmp_path):
    store = CheckpointStore(tmp_path, keep=1)
    save(store, 100)
    newest = save(store, 200)
    assert list(tmp_path.iterdir()) == [newest]
    with pytest.raises(ValueError, match="keep is 0; allowed: at least 1"):
        CheckpointStore(tmp_path, keep=0)


@pytest.mark.parametrize(
    "name", ["manifest.json", "tensors.safetensors", "values.json", "log.json"]
)
def test_a_damaged_newest_one_is_reported_and_the_one_before_used(tmp_path, name):
    lines = []
    store = CheckpointStore(tmp_path, keep=3, say=lines.append)
    save(store, 100)
    damaged = save(store, 200)
    content = bytearray((damaged / name).read_bytes())
    content[len(content) // 2] ^= 1
    (damaged / name).write_bytes(content)
    found = store.newest()
    assert found.agent_steps == 100
    assert found.path("pong.ring").read_bytes() == b"ring" * 1000
    assert len(lines) == 1
    assert str(damaged) in lines[0]
    # The run goes on from 100; what it saves next is the newest, and the damaged one goes.
    save(store, 150)
    assert store.newest().agent_steps == 150
    assert not damaged.exists()
    assert len(lines) == 1


def test_a_file_that_checks_itself_is_not_summed_again_but_measured(tmp_path):
    lines = []
    store = CheckpointStore(tmp_path, keep=2, say=lines.append)
    folder = store.save(
        1, tensors(), VALUES, files={"pong.ring": write_ring}, self_checked={"pong.ring"}
    )
    path = folder / "pong.ring"
    path.write_bytes(bytes(path.stat().st_size))
    assert store.newest().path("pong.ring") == path  # whoever reads it sees what became of it
    path.write_bytes(b"short")
    with pytest.raises(ValueError, match="every checkpoint in"):
        store.newest()
    assert "pong.ring has not the size that was written" in lines[0]


def test_a_file_that_went_missing_is_damage(tmp_path):
    store = CheckpointStore(tmp_path, keep=2, say=lambda line: None)
    (save(store, 100) / "tensors.safetensors").unlink()
    with pytest.raises(ValueError, match=r"every checkpoint in .* is damaged"):
        store.newest()


def test_a_full_disk_loses_no_earlier_checkpoint(tmp_path):
    store = CheckpointStore(tmp_path, keep=1)
    before = save(store, 100)

    def full(path):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match="No space left on device; earlier ones are untouched"):
        store.save(200, tensors(), VALUES, files={"pong.ring": full})
    assert list(tmp_path.iterdir()) == [before]
    assert store.newest().agent_steps == 100
    assert store.newest().path("pong.ring").exists()


def test_an_interrupted_save_leaves_nothing_behind(tmp_path):
    store = CheckpointStore(tmp_path, keep=1)
    before = save(store, 100)

    def interrupted(path):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.save(200, tensors(), VALUES, files={"pong.ring": interrupted})
    assert list(tmp_path.iterdir()) == [before]


def test_what_a_killed_process_left_is_not_taken_and_cleaned_up(tmp_path):
    store = CheckpointStore(tmp_path, keep=2)
    save(store, 100)
    (tmp_path / "unfinished-000002-at-200").mkdir()
    (tmp_path / "unfinished-000002-at-200" / "tensors.safetensors").write_bytes(b"x")
    assert store.newest().agent_steps == 100
    save(store, 300)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "000001-at-100",
        "000002-at-300",
    ]


def test_wrong_saves_are_refused_before_anything_is_written(tmp_path):
    store = CheckpointStore(tmp_path / "none", keep=2)
    with pytest.raises(TypeError, match="not JSON serializable"):
        store.save(1, {}, {"x": torch.ones(1)})
    with pytest.raises(ValueError, match=r"file name '\.\./x'; allowed"):
        store.save(1, {}, {}, files={"../x": write_ring})
    with pytest.raises(ValueError, match="self_checked names 'ring'; allowed: other"):
        store.save(1, {}, {}, files={"other": write_ring}, self_checked={"ring"})
    assert not (tmp_path / "none").exists()
