"""File names as ids and addresses: any name a file system can hold, in text that any table and terminal can.

Names come from strangers' uploads. They hold line breaks, escape sequences, right-to-left overrides, bytes that are
no UTF-8; none of that may end a run, nor get into tables. Such a file is a photo like any other.
"""

from __future__ import annotations

import os
import unicodedata
import urllib.parse

# Relative paths never start so, thus an escaped id is never that of another file.
_ESCAPED = "./"


def is_plain(name: str) -> bool:
    """Whether a name holds nothing but characters that show as themselves; all kinds of spaces do."""
    return all(c.isprintable() or unicodedata.category(c) == "Zs" for c in name)


def id_of_name(relative: str) -> str:
    """Returns the id of the photo in a file.

    Args:
      relative: the file's path below the input, as ``os.fsdecode`` gives it.

    Returns:
      The path itself where every character of it shows; otherwise ``./`` and the path, in which ``%`` and what does
      not show are percent-quoted (RFC 3986) as the bytes that the file system holds. Two paths never have one id.
    """
    if is_plain(relative) and not relative.startswith(_ESCAPED):
        return relative
    return escaped(relative)


def escaped(relative: str) -> str:
    """Returns the id that stands for text that does not show, of ``surrogateescape`` where it was no UTF-8."""
    return _ESCAPED + "".join(
        c if c != "%" and is_plain(c) else urllib.parse.quote_from_bytes(_bytes(c)) for c in relative
    )


def address_of_path(path: str) -> str:
    """Returns a local path, or as a ``file://`` URI where not every character of it shows.

    The URI names the same file, and fits into tables as it is.
    """
    if is_plain(path):
        return path
    return "file://" + urllib.parse.quote(_bytes(os.path.abspath(path)))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
