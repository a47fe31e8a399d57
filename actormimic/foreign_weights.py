"""Weights that other libraries wrote: Stable-Baselines3's DQN, CleanRL's, or a plain state dict.

Nothing in such a file is executed. Pickles go through torch's restricted reader (``weights_only``),
which builds tensors and plain containers and refuses the rest before it is called; of a
Stable-Baselines3 archive only the weights and the readable part of its JSON are looked at, never
the pickles that the JSON carries.
"""

from __future__ import annotations

import io
import json
import pickle
import re
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from actormimic.games import NUM_ACTIONS
from actormimic.networks import AtariNetwork
from actormimic.sections import NetworkSettings

Pixels = Literal["unit", "bytes"]

_MOST_BYTES = 256 << 20
"""More than any file of these networks takes, optimizer and target included; a bound on memory."""
_YEARS = {"small": "2015", "nips2013": "2013"}
_SHOWN_LAYERS = 12


@dataclass(frozen=True)
class ForeignWeights:
    """A DQN of another library in the terms of this one."""

    size: str
    """Which network it is: ``small`` (Mnih et al. 2015) or ``nips2013``."""
    outputs: int
    """Units of the output layer, 2 to 18."""
    tensors: dict[str, Tensor]
    """float32, by the names of `AtariNetwork`, for an output layer of ``outputs`` units."""
    pixels: Pixels | None
    """What the network takes, where the file says so: [0, 1] (``unit``) or 0 to 255 (``bytes``)."""


def read_foreign(path: Path) -> ForeignWeights:
    """The Q-network in a Stable-Baselines3 ``.zip`` or in a file of ``torch.save``.

    Layers are recognized by their order and shapes, whatever their names. Between convolutions and
    hidden layer a network must be flattened in (channel, row, column) order, as torch's ``Flatten``
    does, and its first convolution unpadded; frames are stacked oldest first. Shapes tell none of
    these, and Stable-Baselines3 and CleanRL have them so.

    Raises:
        ValueError: a file that is damaged, too large, holds anything but data, or another network;
            one line that names the file, what was found and what is expected.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(_too_large(path, "", path.stat().st_size))
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    names = _members(path, content)
    if "policy.pth" in names:
        return _stable_baselines(path, content)
    return _recognized(path, _q_network(path, _unpickled(path, content)), None)


def _stable_baselines(path: Path, content: bytes) -> ForeignWeights:
    about = _json(path, _member(path, content, "data"))
    policy_class = about.get("policy_class")
    module = policy_class.get("__module__") if isinstance(policy_class, dict) else None
    if isinstance(module, str) and not module.startswith("stable_baselines3.dqn."):
        raise ValueError(
            f"{path} holds a model of {_printable(module)}; expected: stable_baselines3.dqn"
        )
    policy = _member(path, content, "policy.pth")
    _members(path, policy)
    tensors = _q_network(path, _unpickled(path, policy))
    arguments = about.get("policy_kwargs")
    normalize = arguments.get("normalize_images", True) if isinstance(arguments, dict) else True
    # Beside a pickle the library writes its entries as text.
    if str(normalize) not in ("True", "False"):
        raise ValueError(
            f"{path}: normalize_images is {_printable(str(normalize))}; expected: true or false"
        )
    return _recognized(path, tensors, "unit" if str(normalize) == "True" else "bytes")


def _members(path: Path, content: bytes) -> set[str]:
    """Names in an archive, none where ``content`` is not one; bounds what they unpack to."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return set()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise ValueError(f"{path} is a damaged archive: {_printable(str(error))}") from error
    for info in infos:
        if info.file_size > _MOST_BYTES:
            raise ValueError(_too_large(path, info.filename, info.file_size))
    if (total := sum(info.file_size for info in infos)) > 2 * _MOST_BYTES:
        raise ValueError(_too_large(path, "", total))
    names = {info.filename for info in infos}
    if any(name.endswith("/constants.pkl") for name in names):
        raise ValueError(f"{path} holds a program (TorchScript); {_EXPECTED_DICT}")
    return names


def _member(path: Path, content: bytes, name: str) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.read(name)  # gives no more than the size that was checked
    except KeyError as error:
        raise ValueError(f"{path} has no member {name}; expected: data and policy.pth") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"{path}: its {name} is damaged: {_printable(str(error))}") from error


def _json(path: Path, text: bytes) -> dict[str, Any]:
    try:
        about = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: its data is no JSON") from error
    if not isinstance(about, dict):
        raise ValueError(f"{path}: its data is no JSON object")
    return about


_EXPECTED_DICT = "expected: tensors alone, as torch.save(network.state_dict(), ...) writes them"


def _unpickled(path: Path, content: bytes) -> Any:
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch's own message is a page that recommends trusting the file.
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        if named is None:
            raise ValueError(f"{path} is damaged or no file of torch.save") from error
        raise ValueError(
            f"{path} holds the Python object {named[1]}, which is not run; {_EXPECTED_DICT}"
        ) from error
    except Exception as error:  # whatever the readers of a damaged file stumble over
        raise ValueError(
            f"{path} is damaged or no file of torch.save ({type(error).__name__})"
        ) from error


def _q_network(path: Path, loaded: Any) -> dict[str, Tensor]:
    """The tensors of the one network in what was loaded: a state dict, or a mapping with one."""
    found = _tensors(loaded)
    if not _convolves(found):
        inner = loaded.values() if isinstance(loaded, Mapping) else ()
        networks = [tensors for value in inner if _convolves(tensors := _tensors(value))]
        if len(networks) != 1:
            what = f"{len(networks)} networks" if networks else "no convolutions"
            raise ValueError(f"{path} holds {what}; expected: the state dict of one network")
        (found,) = networks
    online = "q_net.features_extractor."
    if any(name.startswith(online) for name in found):
        # Beside it lies Stable-Baselines3's target network, q_net_target.
        found = {name: tensor for name, tensor in found.items() if name.startswith("q_net.")}
    return found


def _tensors(value: Any) -> dict[str, Tensor]:
    if not isinstance(value, Mapping):
        return {}
    return {str(name): item for name, item in value.items() if isinstance(item, Tensor)}


def _convolves(tensors: Mapping[str, Tensor]) -> bool:
    return any(tensor.ndim == 4 for tensor in tensors.values())


def _recognized(path: Path, found: dict[str, Tensor], pixels: Pixels | None) -> ForeignWeights:
    shapes = [tuple(tensor.shape) for tensor in found.values()]
    outputs = shapes[-1][0] if shapes and len(shapes[-1]) == 1 else 0
    for size in _YEARS:
        names = _layers(size, outputs)
        if list(names.values()) == shapes:
            break
    else:
        raise ValueError(
            f"{path} holds layers {_layout(shapes)}; expected (outputs last, each with a bias): "
            + " or ".join(
                f"{_layout(_layers(size, NUM_ACTIONS).values())} (the {year} network)"
                for size, year in _YEARS.items()
            )
        )
    if not 2 <= outputs <= NUM_ACTIONS:
        raise ValueError(f"{path} has {outputs} outputs; expected: 2 to {NUM_ACTIONS}")
    tensors = {}
    for name, (theirs, tensor) in zip(names, found.items(), strict=True):
        plain = tensor.layout == torch.strided and tensor.is_floating_point()
        if not plain or not bool(torch.isfinite(tensor).all()):
            raise ValueError(
                f"{path}: {_printable(theirs)} holds values that are no finite numbers"
            )
        tensors[name] = tensor.detach().to(torch.float32).contiguous()
    return ForeignWeights(size, outputs, tensors, pixels)


def _layers(size: str, outputs: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of the network ``size``, in order."""
    settings = NetworkSettings.model_validate({"size": size})
    with torch.device("meta"):
        network = AtariNetwork(settings, [range(NUM_ACTIONS)])
    shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    for name in shapes:
        if name.startswith("output."):
            shapes[name] = (outputs, *shapes[name][1:])
    return shapes


def _layout(shapes: Any) -> str:
    weights = ["x".join(map(str, shape)) for shape in shapes if len(shape) != 1]
    more = len(weights) - _SHOWN_LAYERS
    return " ".join(weights[:_SHOWN_LAYERS]) + (f" and {more} more" if more > 0 else "")


def _too_large(path: Path, member: str, size: int) -> str:
    part = f"{path}: its {_printable(member)}" if member else f"{path}"
    return f"{part} is {size:,} bytes; expected: at most {_MOST_BYTES:,}"


def _printable(text: str) -> str:
    """A foreign text, fit for one line."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= 120 else f"{line[:117]}..."
