"""What all commands of ``packshot`` share: exit statuses, and how wrong usage is said."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from typing import Any

from pipeline.redaction import without_secrets

OK, FAILED, USAGE, TOO_MANY_REJECTED, INTERRUPTED = 0, 1, 2, 3, 130


def given(parsed: argparse.Namespace, kind: type) -> dict[str, Any]:
    """Returns the values that were given for a configuration's fields; the others keep their defaults."""
    values = {field.name: getattr(parsed, field.name, None) for field in dataclasses.fields(kind)}
    return {name: value for name, value in values.items() if value is not None}


def wrong_usage(error: Exception) -> int:
    """Says in one line what is wrong; returns the exit status for it."""
    sys.stderr.write(f"packshot: {' '.join(without_secrets(str(error)).split())}\n")
    return USAGE
