"""Keeps credentials out of what is printed, logged or stored.

Messages of the storage clients quote addresses, headers and options as they please. What looks like a credential there
is blanked, and so is, whatever it looks like, every value that was given by a flag or by the environment as one.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Mapping

SECRET_WORDS = ("sig", "token", "key", "secret", "password", "passwd", "credential", "auth", "session", "policy")
BLANK = "..."

# Flags of Beam and variables of the AWS clients. The id of a key is no secret, but tells whose it is.
_SECRET_FLAGS = ("s3_secret_access_key", "s3_session_token", "s3_access_key_id")
_SECRET_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID")
_LEAST_LETTERS = 6  # a shorter value would be blanked in the middle of words

_known: set[str] = set()

_WORDS = "|".join((*SECRET_WORDS, "upload_id"))  # who has an upload's id may go on with the upload
_PATTERNS = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), BLANK),
    (re.compile(r"(?<=://)[^/\s@'\"]+@"), ""),
    (re.compile(rf"([?&;][\w.%-]*(?:{_WORDS})[\w.%-]*=)[^&\s'\")>]+", re.IGNORECASE), rf"\1{BLANK}"),
    (re.compile(r"\b(Bearer\s+)[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1{BLANK}"),
    (re.compile(r"\b((?:Credential|Signature)=)[^,\s&]+"), rf"\1{BLANK}"),
    (
        re.compile(
            r"((?:secret|password|session_token|access_token|refresh_token|access_key_id)\w*['\"]?\s*[:=]\s*['\"]?)"
            r"[^\s'\",;)}]+",
            re.IGNORECASE,
        ),
        rf"\1{BLANK}",
    ),
    (re.compile(r"\bya29\.[\w.-]+|\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b"), BLANK),
)


def hide(values: Iterable[str | None]) -> None:
    """Has ``without_secrets`` blank these values from now on, for the life of the process."""
    _known.update(value for value in values if value and len(value) >= _LEAST_LETTERS)


def hide_given(arguments: Iterable[str], environment: Mapping[str, str] = os.environ) -> None:
    """Hides the credentials among a command's arguments, ``--name=value`` or ``--name value``, and its environment."""
    hide(environment.get(name) for name in _SECRET_VARIABLES)
    before = ""
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if equals and name.removeprefix("--") in _SECRET_FLAGS:
            hide([value])
        elif before.removeprefix("--") in _SECRET_FLAGS:
            hide([argument])
        before = argument


def without_secrets(text: str) -> str:
    """Returns a message fit for anyone's eyes: what is, or looks like, a credential is ``...``."""
    for value in sorted(_known, key=len, reverse=True):
        text = text.replace(value, BLANK)
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text


def flag_names(arguments: Iterable[str]) -> str:
    """Returns arguments that nobody knows as an error may quote them: a mistyped flag's value may be a secret."""
    shown = []
    after_flag = False
    for argument in arguments:
        is_flag = argument.startswith("-")
        if is_flag or not after_flag:
            shown.append(argument.partition("=")[0] if is_flag else argument)
        after_flag = is_flag and "=" not in argument
    return " ".join(shown)


class DiscreetFormatter(logging.Formatter):
    """Formats a log record, traces included, without the secrets in it."""

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(super().format(record))


def start_logging() -> None:
    """Has all log records of this process written to standard error by a ``DiscreetFormatter``, from warnings on.

    To be called before Beam is imported: without its cloud extra it logs a warning at once, upon which Python sets up
    logging by itself, and leaves every later setting aside. Where logging is set up already, as in another program,
    nothing is changed.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(DiscreetFormatter("%(levelname)s %(name)s: %(message)s"))
    handler.addFilter(_is_told)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


def _is_told(record: logging.LogRecord) -> bool:
    """Says whether a record is for the user: Beam's warning of a cloud that is not installed is not."""
    return not (record.name == "root" and str(record.msg).startswith("apitools not found"))
