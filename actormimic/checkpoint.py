"""Files a network outlives its process in: weights to share, and checkpoints to go on from.

A *weights file* is a ``.safetensors`` whose metadata tells what the tensors are (`WeightsHeader`).
A *training checkpoint* is a folder that is complete or absent: it is written under another name,
synchronized to the disk and renamed, and a manifest holds the size of everything in it and the
SHA-256 of what carries no checksum of its own.
Tensors lie in safetensors and values in JSON, so reading either never executes what a file says.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from actormimic import __version__

FORMAT = 1
_WEIGHTS_KEY = "actormimic"
_FOLDER = re.compile(r"^(\d{6})-at-(\d+)$")
_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
_MANIFEST, _TENSORS, _VALUES = "manifest.json", "tensors.safetensors", "values.json"
_UNFINISHED = "unfinished-"


@dataclass(frozen=True)
class WeightsHeader:
    """What a weights file says about its tensors."""

    kind: str
    """The task that trained them: ``actor_mimic``, ``dqn``, ..."""
    games: tuple[str, ...]
    """The games, in ALE's names and in the order of the network's game indices."""
    action_sets: tuple[tuple[int, ...], ...]
    """For each game the minimal action set, in ALE's numbers (0 to 17)."""
    network: dict[str, Any]
    """What the network is built from."""
    settings: dict[str, Any]
    """The run's settings as resolved."""
    agent_steps: int
    """Training behind the tensors, in agent_steps per game."""
    actormimic_version: str = __version__
    torch_version: str = field(default_factory=lambda: str(torch.__version__))

    def __post_init__(self) -> None:
        if len(self.games) != len(self.action_sets):
            raise ValueError(
                f"action_sets has {len(self.action_sets)} entries; allowed: one for each of the "
                f"{len(self.games)} games"
            )


def save_weights(path: Path, tensors: Mapping[str, Tensor], header: WeightsHeader) -> None:
    """Write ``tensors`` (any device, any dtype) to ``path``; the old file stays until the new one
    is complete.

    Raises:
        ValueError: the suffix is not ``.safetensors``.
        OSError: the file cannot be written.
    """
    if path.suffix != ".safetensors":
        raise ValueError(f"weights file {path}: allowed: a name that ends in .safetensors")
    plain = _on_host(tensors)
    about = asdict(header)
    about["format"] = FORMAT
    about["checksum"] = tensors_digest(plain, about)
    unfinished = path.with_name(f".{_UNFINISHED}{os.getpid()}-{path.name}")
    for left_behind in path.parent.glob(f".{_UNFINISHED}*-{glob.escape(path.name)}"):
        left_behind.unlink(missing_ok=True)  # by a process that was killed
    try:
        save_file(plain, unfinished, metadata={_WEIGHTS_KEY: json.dumps(about)})
        _synchronize(unfinished)
        os.replace(unfinished, path)
    except SafetensorError as error:
        raise OSError(f"weights file {path} cannot be written: {error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    _synchronize(path.parent)


def load_weights(path: Path) -> tuple[dict[str, Tensor], WeightsHeader]:
    """The tensors, on the CPU, and the header of a weights file.

    Raises:
        ValueError: the file is missing, damaged, truncated, of another program or of a newer
            format; the line names it and says which.
    """
    if not path.is_file():
        raise ValueError(f"weights file {path} does not exist")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"weights file {path} is damaged or no safetensors: {reason}") from error
    except OSError as error:
        raise ValueError(f"weights file {path} cannot be read: {error.strerror}") from error
    if _WEIGHTS_KEY not in metadata:
        raise ValueError(f"weights file {path} was not written by actormimic")
    try:
        about = json.loads(metadata[_WEIGHTS_KEY])
        written = about["format"]
        if written != FORMAT:
            raise ValueError(f"weights file {path} has format {written}; allowed: {FORMAT}")
        checksum = about.pop("checksum")
        if checksum != tensors_digest(tensors, about):
            raise ValueError(f"weights file {path} is damaged: its checksum does not match")
        del about["format"]
        about["games"] = tuple(about["games"])
        about["action_sets"] = tuple(tuple(actions) for actions in about["action_sets"])
        return tensors, WeightsHeader(**about)
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"weights file {path} is damaged: its header is incomplete") from error


@dataclass(frozen=True)
class Checkpoint:
    """One complete training checkpoint."""

    folder: Path
    agent_steps: int
    tensors: dict[str, Tensor]
    """On the CPU."""
    values: dict[str, Any]
    _files: frozenset[str]

    def path(self, name: str) -> Path:
        """The file ``name``.

        Raises:
            KeyError: the checkpoint has no such file.
        """
        if name not in self._files:
            raise KeyError(f"checkpoint {self.folder} has no file {name}")
        return self.folder / name


class CheckpointStore:
    """The last ``keep`` checkpoints of a run, in ``folder``. For one process at a time."""

    def __init__(
        self, folder: Path, keep: int, *, say: Callable[[str], None] | None = None
    ) -> None:
        """``say`` gets a line for each damaged checkpoint that is passed over (default: stderr).

        Raises:
            ValueError: ``keep`` is below 1.
        """
        if keep < 1:
            raise ValueError(f"keep is {keep}; allowed: at least 1")
        self.folder = folder
        self.keep = keep
        self._say = say or (lambda line: print(line, file=sys.stderr))
        self._damaged: set[Path] = set()

    def save(
        self,
        agent_steps: int,
        tensors: Mapping[str, Tensor],
        values: Mapping[str, Any],
        files: Mapping[str, Callable[[Path], None]] | None = None,
        self_checked: Collection[str] = frozenset(),
    ) -> Path:
        """Write a checkpoint; returns its folder.

        Each of ``files`` is called with the path to write. Those in ``self_checked`` carry
        checksums of their own, which their reader verifies: only their sizes are noted here, so
        that gigabytes are summed once and not twice. When anything fails, a full disk included,
        what was written is removed and the earlier checkpoints are untouched.

        Raises:
            ValueError: a file's name is not plain, or ``self_checked`` names none of ``files``.
            TypeError: ``values`` is not JSON.
            OSError: the checkpoint cannot be written.
        """
        files = files or {}
        for name in files:
            if not _NAME.match(name) or name in (_MANIFEST, _TENSORS, _VALUES):
                raise ValueError(f"file name {name!r}; allowed: letters, digits and ._-")
        if unknown := sorted(set(self_checked) - set(files)):
            raise ValueError(f"self_checked names {unknown[0]!r}; allowed: {', '.join(files)}")
        text = json.dumps(values)
        older = self._complete()
        number = 1 + max((_number(path) for path in older), default=0)
        final = self.folder / f"{number:06d}-at-{agent_steps}"
        unfinished = self.folder / f"{_UNFINISHED}{final.name}"
        self._remove_unfinished()
        try:
            unfinished.mkdir(parents=True)
            try:
                save_file(_on_host(tensors), unfinished / _TENSORS)
            except SafetensorError as error:
                raise OSError(str(error)) from error
            (unfinished / _VALUES).write_text(text, encoding="utf-8")
            for name, write in files.items():
                write(unfinished / name)
            contents = {
                name: {
                    "bytes": (unfinished / name).stat().st_size,
                    "sha256": None if name in self_checked else _digest(unfinished / name),
                }
                for name in (_TENSORS, _VALUES, *files)
            }
            manifest = {
                "format": FORMAT,
                "actormimic_version": __version__,
                "agent_steps": agent_steps,
                "files": contents,
            }
            _write_manifest(unfinished / _MANIFEST, manifest)
            for path in (*unfinished.iterdir(), unfinished):
                _synchronize(path)
            os.rename(unfinished, final)
            _synchronize(self.folder)
        except BaseException as error:
            shutil.rmtree(unfinished, ignore_errors=True)
            if isinstance(error, OSError):
                reason = error.strerror or error
                raise OSError(
                    f"checkpoint {final} cannot be written: {reason}; earlier ones are untouched"
                ) from error
            raise
        self._forget(older)
        return final

    def newest(self) -> Checkpoint | None:
        """The newest complete checkpoint, or None where there is none.

        A damaged one is reported and the one before it taken.

        Raises:
            ValueError: there are checkpoints, and every one is damaged.
        """
        candidates = self._complete()
        for folder in reversed(candidates):
            try:
                checkpoint = _read(folder)
            except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
                self._damaged.add(folder)
                self._say(f"checkpoint {folder} is damaged ({error}); trying the one before")
            else:
                return checkpoint
        if candidates:
            raise ValueError(f"every checkpoint in {self.folder} is damaged")
        return None

    @property
    def agent_steps(self) -> int:
        """agent_steps per game of the newest complete checkpoint, damaged or not; 0: none."""
        complete = self._complete()
        return int(complete[-1].name.rpartition("-")[2]) if complete else 0

    def _complete(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        return sorted((p for p in self.folder.iterdir() if _FOLDER.match(p.name)), key=_number)

    def _remove_unfinished(self) -> None:
        for path in self.folder.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(path, ignore_errors=True)

    def _forget(self, older: list[Path]) -> None:
        """Thin out what lay there before the newest one was renamed into place."""
        sound = [path for path in older if path not in self._damaged]
        kept = sound[-(self.keep - 1) :] if self.keep > 1 else []
        for path in older:
            if path not in kept:
                # Renamed first: a removal that is interrupted must not look like damage.
                doomed = self.folder / f"{_UNFINISHED}{path.name}"
                os.rename(path, doomed)
                shutil.rmtree(doomed, ignore_errors=True)


def _read(folder: Path) -> Checkpoint:
    manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    checksum = manifest.pop("checksum")
    if checksum != _text_digest(manifest):
        raise ValueError("its manifest's checksum does not match")
    if manifest["format"] != FORMAT:
        raise ValueError(f"its format is {manifest['format']}; allowed: {FORMAT}")
    for name, expected in manifest["files"].items():
        path = folder / name
        if path.stat().st_size != expected["bytes"]:
            raise ValueError(f"{name} has not the size that was written")
        if expected["sha256"] is not None and _digest(path) != expected["sha256"]:
            raise ValueError(f"{name} does not match its checksum")
    return Checkpoint(
        folder=folder,
        agent_steps=int(manifest["agent_steps"]),
        tensors=load_file(folder / _TENSORS),
        values=json.loads((folder / _VALUES).read_text(encoding="utf-8")),
        _files=frozenset(manifest["files"]) - {_TENSORS, _VALUES},
    )


def _write_manifest(path: Path, manifest: dict[str, Any]) -> None:
    text = json.dumps({**manifest, "checksum": _text_digest(manifest)}, indent=1)
    path.write_text(text, encoding="utf-8")


def _number(folder: Path) -> int:
    return int(folder.name.partition("-")[0])


def _on_host(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copies that share no storage, which safetensors would refuse to write."""
    return {
        name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()
    }


def tensors_digest(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> str:
    """SHA-256 over ``about`` and each tensor's name, dtype, shape and bytes, in name order; the
    same wherever the tensors lie."""
    digest = hashlib.sha256(_canonical(about))
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(_canonical([name, str(tensor.dtype), list(tensor.shape)]))
        if tensor.numel():
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _text_digest(value: Any) -> str:
    return hashlib.sha256(_canonical(value)).hexdigest()


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _synchronize(path: Path) -> None:
    """Wait until a file's contents, or a folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
