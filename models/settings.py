"""Settings read from YAML: typed, checked before anything starts, and what is wrong named by its path of keys."""

from __future__ import annotations

import dataclasses
import types
import typing
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

_Settings = TypeVar("_Settings")


def read_settings(name_or_path: str, recipes: Path) -> tuple[dict[str, Any], Path]:
    """Reads a YAML file of settings.

    Args:
      name_or_path: path of a file, or the name of one in ``recipes``.
      recipes: folder of the files that come with Packshot.

    Returns:
      The settings as they stand there, and the folder that relative paths in the file are relative to.

    Raises:
      ValueError: there is no such file, or it is no YAML mapping.
    """
    path = Path(name_or_path)
    if not path.is_file() and not path.suffix:
        path = recipes / f"{name_or_path}.yaml"
    if not path.is_file():
        names = ", ".join(sorted(recipe.stem for recipe in recipes.glob("*.yaml")))
        raise ValueError(f"there is no configuration {name_or_path!r}; give a YAML file, or one of {names}")
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{str(path)!r} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(settings, dict):
        raise ValueError(f"{str(path)!r} must be a mapping of settings, not {type(settings).__name__}")
    return settings, path.parent


def resolved(settings: dict[str, Any], name: str, folder: Path) -> dict[str, Any]:
    """Returns a setting with its relative path made one from the current folder, or nothing if it has none.

    Args:
      settings: as read.
      name: the setting: a path, or a mapping with one under ``path``.
      folder: what the path is relative to.
    """
    value = settings.get(name)
    if isinstance(value, dict):
        return {name: {**value, **resolved(value, "path", folder)}}
    if not isinstance(value, str) or not value or "://" in value:
        return {}
    return {name: str(folder / value)}


def build(wanted: type[_Settings], values: Any, where: str = "") -> _Settings:
    """Builds a dataclass from parsed JSON or YAML.

    Args:
      wanted: the dataclass; its fields may be dataclasses, tuples, literals and unions of these.
      values: a mapping by field.
      where: path of keys that the mapping stands at, for messages.

    Raises:
      ValueError: a key is unknown or missing, or a value is of the wrong type or out of range; it is named.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{where}={values!r} must be a mapping of {', '.join(names_of(wanted))}")
    prefix = f"{where}." if where else ""
    if unknown := sorted(set(map(str, values)) - set(names_of(wanted))):
        raise ValueError(f"unknown setting {prefix}{unknown[0]}; known are {', '.join(names_of(wanted))}")
    types_of_fields = typing.get_type_hints(wanted)
    built = {name: _checked(types_of_fields[name], value, prefix + name) for name, value in values.items()}
    for field in dataclasses.fields(wanted):  # type: ignore[arg-type]
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and field.name not in built:
            raise ValueError(f"{prefix}{field.name} is missing")
    try:
        return wanted(**built)
    except ValueError as error:
        raise ValueError(f"{prefix}{error}") from error


def names_of(wanted: type) -> list[str]:
    """Returns the names of a dataclass's fields."""
    return [field.name for field in dataclasses.fields(wanted)]


def _checked(wanted: Any, value: Any, where: str) -> Any:
    """Returns the value as the wanted type, or says what is wrong with it."""
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        return _checked(next(a for a in arguments if a is not type(None)), value, where)
    if origin is Literal:
        if value not in arguments:
            raise ValueError(f"{where}={value!r} must be one of {', '.join(map(repr, arguments))}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{where}={value!r} must be a list")
        items = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        if len(items) != len(value):
            raise ValueError(f"{where}={value!r} must be a list of {len(items)}")
        return tuple(_checked(a, v, f"{where}[{i}]") for i, (a, v) in enumerate(zip(items, value, strict=True)))
    if dataclasses.is_dataclass(wanted):
        return value if isinstance(value, wanted) else build(wanted, value, where)  # type: ignore[arg-type]
    if wanted is float and isinstance(value, str):  # YAML takes 3e-4 for a string
        try:
            return float(value)
        except ValueError:
            pass
    accepted = (int, float) if wanted is float else wanted
    if not isinstance(value, accepted) or (isinstance(value, bool) and wanted is not bool):
        raise ValueError(f"{where}={value!r} must be {_WORDS[wanted]}")
    return wanted(value)


_WORDS = {float: "a number", int: "a whole number", str: "text", bool: "true or false"}
