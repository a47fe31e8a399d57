"""Config files as plain data: found, read as YAML, laid over one another.

What the values mean is checked in `actormimic.config_files`.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from actormimic.config import merge
from actormimic.config_errors import nearest, show

SHIPPED = Path(__file__).absolute().parent / "configs"

FULL = "full"
"""The scale of a file as it stands."""


_EXPONENT = re.compile(r"[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+")


class _Loader(yaml.SafeLoader):
    """YAML as people mean it: ``1e-4`` is a number, ``1e6`` a whole one, a key occurs once, and
    neither dates nor octal or sexagesimal numbers are seen in ``2026-02-03``, ``010`` and ``1:30``.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is not text", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} occurs twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _construct_exponent(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int | float:
    number = float(loader.construct_scalar(node).replace("_", ""))
    # Counts are written like this too (1e6), and they are checked as whole numbers.
    return int(number) if number.is_integer() else number


_INT = "tag:yaml.org,2002:int"
_Loader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] not in (_INT, "tag:yaml.org,2002:timestamp")]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_INT, re.compile(r"^[-+]?(?:0|[1-9][0-9_]*)$"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    "!exponent", re.compile(f"^(?:{_EXPONENT.pattern})$"), list("-+0123456789")
)
_Loader.add_constructor("!exponent", _construct_exponent)


def shipped_configs() -> list[str]:
    """The configs that come with the package, as they are named on the command line."""
    return sorted(path.relative_to(SHIPPED).as_posix() for path in SHIPPED.rglob("*.yaml"))


def find_config(name: str, folder: Path = Path()) -> Path:
    """The config file ``name``: a path from ``folder`` on, or one of the package's own.

    ``folder`` is where a person types the name, or where the file lies that has it. In settings
    that were read names mean the same everywhere (`_placed`), as seen from `SHIPPED`.

    Raises:
        ValueError: there is no such file; the line lists the package's own.
    """
    given = folder / Path(name).expanduser()
    if given.is_dir():
        raise ValueError(f"config {name} is a folder; allowed: a YAML file")
    if given.exists():
        return given
    known = shipped_configs()
    for candidate in (name, f"{name}.yaml"):
        if candidate in known:
            return SHIPPED / candidate
    raise ValueError(
        f"config {name} is neither a file nor one of the package's: {', '.join(known)}"
        + nearest(name, known)
    )


def read_config(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; nothing but plain data is ever constructed from it.

    Raises:
        ValueError: the file cannot be read, is not YAML, or is not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ValueError(f"config {path} cannot be read: {reason}") from error
    values = _parse_yaml(text, f"config {path}")
    if not isinstance(values, dict):
        found = "is empty" if values is None else f"holds {show(values)}"
        raise ValueError(f"config {path} {found}; allowed: a mapping of settings, key: value")
    return values


def read_extended(path: Path, above: Sequence[Path] = ()) -> dict[str, Any]:
    """`read_config`, laid over the config that its ``extends`` names.

    The configs that a file names are those beside it, or else the package's.

    Raises:
        ValueError: as `read_config`; ``extends`` is no config's name, or leads back to ``path``.
    """
    values: dict[str, Any] = _placed(read_config(path), path.parent)
    base = values.pop("extends", None)
    if base is None:
        return values
    if not isinstance(base, str):
        raise ValueError(f"config {path}: extends is {show(base)}; allowed: a YAML file")
    below = find_config(base, path.parent)
    if below.resolve() in (p.resolve() for p in (path, *above)):
        raise ValueError(f"config {path}: extends leads back to {below}")
    return merge(read_extended(below, (path, *above)), values)


def _placed(values: Any, folder: Path, key: str = "") -> Any:
    """``values`` with each ``config`` in them under a name that means the same from anywhere.

    Where the name is that of a file seen from ``folder``, this is its whole path; of the package's
    own, and of files that are not there, it is the name as it was.
    """
    if isinstance(values, dict):
        return {name: _placed(value, folder, name) for name, value in values.items()}
    if isinstance(values, list):
        return [_placed(value, folder, key) for value in values]
    if not isinstance(values, str) or key.rpartition(".")[2] != "config":
        return values
    path = Path(os.path.abspath(folder / Path(values).expanduser()))
    if not path.is_file():
        return values
    return path.relative_to(SHIPPED).as_posix() if path.is_relative_to(SHIPPED) else str(path)


def apply_overrides(values: dict[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """``values`` with each ``dotted.key=value`` laid on top; values are read as YAML.

    The configs that they name are those in the working directory, or else the package's.

    Raises:
        ValueError: an override without a key or ``=``, or whose value is not YAML.
    """
    for override in overrides:
        key, equals, text = override.partition("=")
        parts = key.strip().split(".")
        if not equals or not all(parts):
            raise ValueError(f"override {override!r} is not understood; allowed: key=value")
        value = _placed(_parse_yaml(text, f"the value of {key.strip()}"), Path(), key.strip())
        values = laid_over(values, parts, value)
    return values


def at_scale(values: dict[str, Any], scale: str | None, what: str) -> dict[str, Any]:
    """``values`` of a file with one of its ``scales`` laid over the rest.

    Args:
        values: As read.
        scale: Its name, ``full`` for the file as it stands; None for the one the file names, or
            ``full``.
        what: The file's name, for the message.

    Raises:
        ValueError: the file has no such scale.
    """
    values = dict(values)
    scales = values.pop("scales", {})
    if not isinstance(scales, dict) or not all(isinstance(s, dict) for s in scales.values()):
        raise ValueError(f"{what}: scales is {show(scales)}; allowed: names, each with settings")
    standing = values.pop("scale", FULL)
    wanted = standing if scale is None else scale
    if isinstance(wanted, str) and wanted in scales:
        values = merge(values, scales[wanted])
    elif wanted != (FULL if scales else standing):
        known = [FULL, *scales] if scales else [standing]
        raise ValueError(
            f"scale is {show(wanted)}, which {what} has not; allowed: {', '.join(known)}"
            + nearest(wanted, known)
        )
    if values.get("task") == "pipeline":
        values["scale"] = wanted
    return values


def _parse_yaml(text: str, what: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise ValueError(f"{what} is not YAML{where}: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ValueError(f"{what} is not YAML: {str(error).splitlines()[0]}") from error
    except RecursionError:
        raise ValueError(f"{what} is nested too deeply") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        # What PyYAML lets through of an explicit tag whose text is none of its kind, as !!int abc.
        raise ValueError(f"{what} is not YAML: a value is not what its tag says") from error


def laid_over(values: Any, parts: list[str], value: Any) -> Any:
    """``values`` with ``value`` at the key whose dotted name has these ``parts``."""
    if not parts:
        return value
    head, *rest = parts
    if isinstance(values, list) and head.isdecimal() and int(head) < len(values):
        copy = list(values)
        copy[int(head)] = laid_over(copy[int(head)], rest, value)
        return copy
    below = values if isinstance(values, dict) else {}
    return {**below, head: laid_over(below.get(head), rest, value)}


def one_line_yaml(value: Any) -> str:
    """``value`` as YAML that can be typed after ``key=``."""
    return (
        yaml.safe_dump(value, default_flow_style=True, width=math.inf).removesuffix("...\n").strip()
    )


def flat_values(values: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings of settings as one mapping of dotted names."""
    if not isinstance(values, dict):
        return {prefix: values}
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= flat_values(value, f"{prefix}.{key}" if prefix else key)
    return flat
