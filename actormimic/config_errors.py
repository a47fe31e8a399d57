"""What a user reads of a mistake in a config: one line with key, value and what is allowed."""

from __future__ import annotations

import difflib
import types
from collections.abc import Sequence
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from actormimic.config import OneGameSettings, RunSettings, task_models
from actormimic.schedules import Words

_SHOWN_CHARACTERS = 80
_PLAIN_TYPES = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    type(None): "null",
}


def one_line(error: ValidationError, values: dict[str, Any]) -> str:
    """The first mistake in ``values``, and how many more there are."""
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
        return "task", f"task is {show(tag)}; allowed: {_any_of(tasks)}" + nearest(tag, tasks)
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
        near = nearest(unknown, [*allowed, *dotted_keys(model)])
        where = f" in {'.'.join(names)}" if names else ""
        listed = ", ".join(_keys(section))
        return unknown, (
            f"{unknown} is no setting (its value: {show(found)}); allowed{where}: {listed}" + near
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
    near = nearest(found, [str(choice) for choice in choices])
    return key, f"{key} is {show(found)}; allowed: {allowed_text}{near}"


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


def nearest(name: Any, known: Sequence[str]) -> str:
    """`` (did you mean ...?)``, or nothing where no known name resembles ``name``."""
    if not isinstance(name, str):
        return ""
    # A setting written without its section is the commonest slip.
    inside = [key for key in known if key.rpartition(".")[2] == name.rpartition(".")[2]]
    match = inside or difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {match[0]}?)" if match else ""


def describe_allowed(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """In words, the values that a setting of this type takes."""
    if said := next((m.words for m in metadata if isinstance(m, Words)), None):
        return str(said)
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


def _any_of(alternatives: Sequence[str]) -> str:
    if len(alternatives) == 1:
        return alternatives[0]
    return f"{', '.join(alternatives[:-1])} or {alternatives[-1]}"


def show(value: Any) -> str:
    """A value as it stands in a YAML file, cut where it is long."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 3]}..."
