"""Damage as hypothesis draws it: bytes set, cut out, put in or repeated, most of it where headers are."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import strategies as st


class Edit(NamedTuple):
    """One damage: what is done, where (0..1 of the file), and with which bytes."""

    kind: str
    where: float
    data: bytes


EDITS = st.lists(
    st.builds(
        Edit,
        st.sampled_from(("set", "insert", "delete", "repeat", "cut")),
        st.floats(0, 1),
        st.binary(min_size=1, max_size=8) | st.sampled_from((b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\xff\xd9")),
    ),
    max_size=8,
)


def damaged(content: bytes, edits: list[Edit], *, from_end: bool = False) -> bytes:
    """Returns a file with all edits made.

    Args:
      content: the file.
      edits: what to do, in order.
      from_end: whether the header stands at the end, as a Parquet file's does.
    """
    for edit in edits:
        at = int(edit.where**2 * len(content))
        at = len(content) - at if from_end else at
        size = len(edit.data)
        if edit.kind == "set":
            content = content[:at] + edit.data + content[at + size :]
        elif edit.kind == "insert":
            content = content[:at] + edit.data + content[at:]
        elif edit.kind == "delete":
            content = content[:at] + content[at + size :]
        elif edit.kind == "repeat":
            content = content[:at] + content[at : at + 40] * size + content[at + 40 :]
        else:
            content = content[: max(at, len(content) // 2)]
    return content
