"""From a config file and ``key=value`` overrides to checked settings, and back to a file.

Every mistake a user can make here is a ``ValueError`` of one line that names the key, the value and
what is allowed, with the nearest name where one was mistyped.
"""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from actormimic.config import (
    ActorMimicRun,
    EvaluateRun,
    ExpertFile,
    OneGameSettings,
    PipelineRun,
    RunSettings,
    TransferRun,
    merge,
    resolve,
    task_models,
)

SHIPPED = Path(__file__).parent / "configs"

RESERVED_SOURCES = ("random", "bundled")
"""Sources of weights that are no paths."""

_EXPONENT = re.compile(r"[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+")
_SHOWN_CHARACTERS = 80
_PLAIN_TYPES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    type(None): "null",
}


class _Loader(yaml.SafeLoader):
    """YAML as people mean it: ``1e-4`` is a number, ``1e6`` a whole one, a key occurs once."""

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


_Loader.add_implicit_resolver(
    "!exponent", re.compile(f"^(?:{_EXPONENT.pattern})$"), list("-+0123456789")
)
_Loader.add_constructor("!exponent", _construct_exponent)


def shipped_configs() -> list[str]:
    """The configs that come with the package, as they are named on the command line."""
    return sorted(path.relative_to(SHIPPED).as_posix() for path in SHIPPED.rglob("*.yaml"))


def find_config(name: str) -> Path:
    """The config file ``name``: a path, or one of the package's own.

    Raises:
        ValueError: there is no such file; the line lists the package's own.
    """
    given = Path(name).expanduser()
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
        + _nearest(name, known)
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
        found = "is empty" if values is None else f"holds {_show(values)}"
        raise ValueError(f"config {path} {found}; allowed: a mapping of settings, key: value")
    return values


def apply_overrides(values: dict[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """``values`` with each ``dotted.key=value`` laid on top; values are read as YAML.

    Raises:
        ValueError: an override without a key or ``=``, or whose value is not YAML.
    """
    for override in overrides:
        key, equals, text = override.partition("=")
        parts = key.strip().split(".")
        if not equals or not all(parts):
            raise ValueError(f"override {override!r} is not understood; allowed: key=value")
        value = _parse_yaml(text, f"the value of {key.strip()}")
        values = _laid_over(values, parts, value)
    return values


def load_settings(config: str, overrides: Sequence[str] = ()) -> RunSettings:
    """The checked settings of the config named ``config`` (`find_config`) under ``overrides``.

    The stages of a pipeline are checked too.

    Raises:
        ValueError: one line that names the mistake.
    """
    return check_settings(apply_overrides(read_config(find_config(config)), overrides))


def check_settings(values: dict[str, Any]) -> RunSettings:
    """`actormimic.config.resolve` with its complaints in one line.

    Raises:
        ValueError: the first mistake, and how many more there are.
    """
    try:
        settings = resolve(values)
    except ValidationError as error:
        raise ValueError(_one_line(error, values)) from error
    if isinstance(settings, PipelineRun):
        pipeline_stages(settings)
    return settings


def pipeline_stages(pipeline: PipelineRun) -> list[RunSettings]:
    """The checked settings of each stage of a pipeline, in order.

    Raises:
        ValueError: a stage without a config, or one whose settings are wrong.
    """
    # What is said of the whole pipeline holds for its stages, where they do not say otherwise.
    common = ("seed", "device", "threads", "precision", "resume")
    inherited = {key: getattr(pipeline, key) for key in common if key in pipeline.model_fields_set}
    stages: list[RunSettings] = []
    for number, stage in enumerate(pipeline.stages):
        overrides = dict(stage)
        config = overrides.pop("config", None)
        if not isinstance(config, str):
            found = "is missing" if config is None else f"is {_show(config)}"
            raise ValueError(f"stages.{number}.config {found}; allowed: a YAML file")
        try:
            values = merge(merge(read_config(find_config(config)), inherited), overrides)
            settings = check_settings(values)
        except ValueError as error:
            raise ValueError(f"stages.{number} ({config}): {error}") from error
        if isinstance(settings, PipelineRun):
            raise ValueError(f"stages.{number} ({config}): a pipeline holds no pipelines")
        if settings.run_folder in (stage.run_folder for stage in stages):
            raise ValueError(
                f"stages.{number} ({config}): its folder {settings.run_folder} is an earlier "
                "stage's; allowed: a folder (or name) of its own"
            )
        stages.append(settings)
    return stages


def check_sources(settings: RunSettings) -> None:
    """Refuse files that the settings name and that are not there.

    Raises:
        ValueError: names the setting and the path.
    """
    named: dict[str, str] = {}
    if isinstance(settings, TransferRun | EvaluateRun) and settings.source not in RESERVED_SOURCES:
        named["source"] = settings.source
    if isinstance(settings, ActorMimicRun) and isinstance(settings.experts, dict):
        named = {
            f"experts.{game}": source.file if isinstance(source, ExpertFile) else source
            for game, source in settings.experts.items()
        }
    for key, source in named.items():
        if source not in RESERVED_SOURCES and not Path(source).expanduser().exists():
            raise ValueError(
                f"{key} is {source!r}, which does not exist; allowed: a file or folder"
            )


def plain_values(settings: RunSettings) -> dict[str, Any]:
    """The resolved settings as plain data; `check_settings` of it gives ``settings`` again."""
    values = settings.model_dump(mode="json")
    if isinstance(settings, OneGameSettings):
        # As a user writes it, so that ``game=...`` can be laid over a run's config.yaml as well.
        values = {"game" if key == "games" else key: value for key, value in values.items()}
        values["game"] = settings.games[0]
    return {"task": values.pop("task"), **values}


def flat_values(values: Any, prefix: str = "") -> dict[str, Any]:
    """Nested mappings of settings as one mapping of dotted names."""
    if not isinstance(values, dict):
        return {prefix: values}
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= flat_values(value, f"{prefix}.{key}" if prefix else key)
    return flat


def to_yaml(settings: RunSettings) -> str:
    """The resolved settings as the text of a config file that gives them again."""
    return yaml.dump(plain_values(settings), Dumper=yaml.SafeDumper, sort_keys=False, width=100)


def describe_allowed(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """In words, the values that a setting of this type takes."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if hasattr(annotation, "__metadata__"):
        inner = annotation.__metadata__
        unpacked = [m for item in inner for m in getattr(item, "metadata", [item])]
        return describe_allowed(arguments[0], unpacked)
    if origin is Literal:
        return _any_of([str(argument) for argument in arguments])
    if origin in (Union, types.UnionType):
        return _any_of([describe_allowed(argument) for argument in arguments])
    if origin is list:
        least = next((m.min_length for m in metadata if hasattr(m, "min_length")), 0)
        nonempty = "a list, not empty, of" if least else "a list of"
        return f"{nonempty} {describe_allowed(arguments[0])}"
    if origin is dict:
        return f"a mapping of names to {describe_allowed(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"a section with {', '.join(annotation.model_fields)}"
    pattern = next((m.pattern for m in metadata if getattr(m, "pattern", None)), None)
    if pattern is not None:
        return f"text of the form {pattern.strip('^$')}"
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    bounds = [
        f"{word} {getattr(m, name)}"
        for m in metadata
        for name, word in words.items()
        if getattr(m, name, None) is not None
    ]
    plain = _PLAIN_TYPES.get(annotation, "anything")
    return f"{plain}, {' and '.join(bounds)}" if bounds else plain


def _parse_yaml(text: str, what: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise ValueError(f"{what} is not YAML{where}: {error.problem}") from error
    except yaml.YAMLError as error:
        raise ValueError(f"{what} is not YAML: {str(error).splitlines()[0]}") from error


def _laid_over(values: Any, parts: list[str], value: Any) -> Any:
    if not parts:
        return value
    head, *rest = parts
    if isinstance(values, list) and head.isdecimal() and int(head) < len(values):
        copy = list(values)
        copy[int(head)] = _laid_over(copy[int(head)], rest, value)
        return copy
    below = values if isinstance(values, dict) else {}
    return {**below, head: _laid_over(below.get(head), rest, value)}


def _one_line(error: ValidationError, values: dict[str, Any]) -> str:
    model = task_models().get(str(values.get("task")), RunSettings)
    # The errors of a union's alternatives belong to one key; a mistyped key explains a missing one.
    lines: dict[str, tuple[bool, str]] = {}
    for details in error.errors():
        key, line = _explain(details, model)
        lines.setdefault(key or line, (details["type"] != "extra_forbidden", line))
    ordered = [line for _, line in sorted(lines.values(), key=lambda entry: entry[0])]
    more = f" (and {len(ordered) - 1} more)" if len(ordered) > 1 else ""
    return " ".join(ordered[0].split()) + more


def _explain(details: Any, model: type[BaseModel]) -> tuple[str, str]:
    kind, found = details["type"], details["input"]
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        tasks = list(task_models())
        if kind == "union_tag_not_found":
            return "task", f"task is missing; allowed: {_any_of(tasks)}"
        tag = details["ctx"]["tag"]
        return "task", f"task is {_show(tag)}; allowed: {_any_of(tasks)}" + _nearest(tag, tasks)
    location = list(details["loc"][1:])  # the first part is the task
    names, section, field = _walk(location, model)
    key = ".".join(names)
    if issubclass(model, OneGameSettings) and names[:1] == ["games"]:
        key = "game"
        found = found[0] if isinstance(found, list) and found else found
    if kind == "extra_forbidden" and field is None:
        prefix = "".join(f"{name}." for name in names)
        unknown = f"{prefix}{location[len(names)]}"
        allowed = [f"{prefix}{name}" for name in _keys(section)]
        nearest = _nearest(unknown, [*allowed, *dotted_keys(model)])
        where = f" in {'.'.join(names)}" if names else ""
        listed = ", ".join(_keys(section))
        return unknown, (
            f"{unknown} is no setting (its value: {_show(found)}); allowed{where}: {listed}"
            + nearest
        )
    if kind == "value_error":
        reason = str(details["ctx"]["error"])
        return key, f"{key}: {reason}" if key else reason
    if key == "game":
        allowed_text = "the name of a game"
    elif field is None:
        allowed_text = describe_allowed(section)
    else:
        allowed_text = describe_allowed(field.annotation, field.metadata)
    if kind == "missing":
        return key, f"{key} is missing; allowed: {allowed_text}"
    choices = get_args(field.annotation) if field and kind == "literal_error" else ()
    nearest = _nearest(found, [str(choice) for choice in choices])
    return key, f"{key} is {_show(found)}; allowed: {allowed_text}{nearest}"


def _walk(
    location: list[Any], model: type[BaseModel]
) -> tuple[list[str], type[BaseModel], FieldInfo | None]:
    """The keys on the way to a mistake, the last section on it and the setting at its end."""
    names: list[str] = []
    section, field = model, None
    for part in location:
        if field is None and part in section.model_fields:
            names.append(str(part))
            annotation = section.model_fields[part].annotation
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                section = annotation
            else:
                field = section.model_fields[part]
        elif field is not None and isinstance(part, int):
            names.append(str(part))
            inner = get_args(field.annotation)
            field = FieldInfo.from_annotation(inner[0]) if inner else field
        else:
            break
    return names, section, field


def _keys(section: type[BaseModel]) -> list[str]:
    names = list(section.model_fields)
    if issubclass(section, OneGameSettings):
        names[names.index("games")] = "game"
    return names


def dotted_keys(model: type[BaseModel]) -> list[str]:
    """The dotted names of all settings of a model, sections aside."""
    keys: list[str] = []
    for name in _keys(model):
        annotation = model.model_fields["games" if name == "game" else name].annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            keys += [f"{name}.{inner}" for inner in dotted_keys(annotation)]
        else:
            keys.append(name)
    return keys


def _nearest(name: Any, known: Sequence[str]) -> str:
    """`` (did you mean ...?)``, or nothing where no known name resembles ``name``."""
    if not isinstance(name, str):
        return ""
    # A setting written without its section is the commonest slip.
    inside = [key for key in known if key.rpartition(".")[2] == name.rpartition(".")[2]]
    match = inside or difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {match[0]}?)" if match else ""


def _any_of(alternatives: Sequence[str]) -> str:
    if len(alternatives) == 1:
        return alternatives[0]
    return f"{', '.join(alternatives[:-1])} or {alternatives[-1]}"


def _show(value: Any) -> str:
    """A value as it stands in a YAML file, cut where it is long."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 3]}..."
