"""Profiles by name: one YAML file a marketplace, beside this module; or a file of the user's own."""

from __future__ import annotations

import dataclasses
import pathlib
from importlib import resources
from typing import Any

import yaml

from transforms.ground import decode_backdrop
from transforms.profile import Profile, parse_colour

DEFAULT_PROFILE = "white-square"


def profile_names() -> list[str]:
    """Returns the names of the profiles that come with Packshot, sorted."""
    folder = resources.files(__name__)
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load_profile(name_or_path: str) -> Profile:
    """Returns a profile by its name or read from a file.

    Args:
      name_or_path: one of ``profile_names()``, or the path of a YAML file; whatever ends in ``.yaml`` or
        ``.yml`` or contains a path separator is a path. The profile of a file is called after the file,
        unless it says ``name:``.

    Raises:
      ValueError: no profile of that name, no such file, or one that is not a valid profile; the message is
        one sentence that names the file, the key and the value.
    """
    path = pathlib.Path(name_or_path)
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not a UTF-8 text"
            raise ValueError(f"profile {name_or_path!r} cannot be read: {why}") from None
        return _parse(text, path.stem, name_or_path)
    if name_or_path not in profile_names():
        known = ", ".join(profile_names())
        raise ValueError(f"unknown profile {name_or_path!r}; known are {known}, or the path of a YAML file")
    file = f"{name_or_path}.yaml"
    return _parse(resources.files(__name__).joinpath(file).read_text(encoding="utf-8"), name_or_path, file)


def with_look(profile: Profile, *, background: str = "", shadow: str = "") -> Profile:
    """Returns a profile with another ground or shadow.

    Args:
      profile: whose canvas, fill, format and limits stay.
      background: ``"#rrggbb"``, two of them joined by ``-`` for a gradient from top to bottom, the path of a picture,
        or nothing for the profile's own ground.
      shadow: one of ``transforms.profile.SHADOWS``, or nothing for the profile's own.

    Raises:
      ValueError: there is no such picture, or the shadow is unknown.
    """
    changes: dict[str, Any] = {"shadow": shadow} if shadow else {}
    if background:
        colours = [parse_colour(part) for part in background.split("-")] if background.startswith("#") else []
        if len(colours) > 2 or any(isinstance(colour, str) for colour in colours):
            raise ValueError(f"background {background!r} must be '#rrggbb', '#rrggbb-#rrggbb' or the path of a picture")
        changes |= {"gradient": None, "backdrop": None}
        if colours:
            changes |= {"background": colours[0], "gradient": colours[1] if len(colours) == 2 else None}
        else:
            changes["backdrop"] = read_backdrop(background)
    return dataclasses.replace(profile, **changes)


def read_backdrop(path: str) -> bytes:
    """Returns the bytes of a picture for the ground.

    Raises:
      ValueError: it cannot be read, or is no picture.
    """
    try:
        content = pathlib.Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"the backdrop {path!r} cannot be read: {error.strerror}") from None
    try:
        decode_backdrop(content)
    except ValueError as error:
        raise ValueError(f"{path!r}: {error}") from None
    return content


def _parse(text: str, name: str, where: str) -> Profile:
    try:
        mapping = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "a character that YAML does not allow"
        raise ValueError(f"{where}{line}: not valid YAML: {problem}") from None
    if isinstance(mapping, dict):
        mapping = {"name": name, **mapping}
        if isinstance(mapping.get("backdrop"), str):
            mapping["backdrop"] = read_backdrop(str(pathlib.Path(where).parent / mapping["backdrop"]))
    return Profile.from_mapping(mapping, where)
