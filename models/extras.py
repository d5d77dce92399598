"""Packages that only some installations have."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def imported_for_training() -> Iterator[None]:
    """Modules that need what the extra ``train`` installs are imported meanwhile.

    Raises:
      ValueError: a package is missing; it is named, with what to do.
    """
    try:
        yield
    except ImportError as error:
        raise ValueError(
            f"training needs a package that is missing ({error}): pip install 'packshot[train]'"
        ) from error
