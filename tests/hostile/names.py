"""Hostile names: of files in a folder, and of rows in a Parquet file."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.sources.names import id_of_name
from transforms.reasons import RejectReason as Reason

# A stage and a reason, or None where a picture must come of it.
Expected = tuple[str, Reason] | None

FILE_NAMES = (
    *("with space.jpg", " leading.jpg", "two  spaces.jpg", "no-break\u00a0space.jpg", "ideographic\u3000space.jpg"),
    *("-rf.jpg", "--output=elsewhere.jpg", "a..b.jpg", "ends-in-dots...jpg", "x" * 250 + ".jpg"),
    *("caf\u00e9.jpg", "cafe\u0301.jpg", "\u65e5\u672c\u8a9e.jpg", "\u0634\u0644\u0648\u0627\u0631.jpg"),
    *("\U0001f9e5.jpg", "\U0001f469\u200d\U0001f467.jpg", "zero\u200bwidth.jpg", "\u202egpj.exe.jpg", "\ufeffbom.jpg"),
    *("line\nbreak.jpg", "carriage\rreturn.jpg", "tab\tulator.jpg", "bell\x07.jpg", "\x1b[31mred.jpg", "del\x7f.jpg"),
    *("percent%0Asign.jpg", "percent\nsign.jpg", "%2e%2e%2f.jpg", "question?.jpg", "star*.jpg", "[a-z].jpg", "#12.jpg"),
    *("semi;rm -rf $HOME.jpg", "$(reboot).jpg", "`id`.jpg", "quote'\".jpg", "back\\slash.jpg", "up\\..\\..\\x.jpg"),
    *("<img src=x onerror=alert(1)>.jpg", "{{7*7}}.jpg", "=cmd|' !A0.jpg", "a&b.jpg", "C:stream.jpg", "CON.jpg"),
    *(
        "Case.jpg",
        "case.jpg",
        "UPPER.JPG",
        "upper.jpg",
        "twin.jpg",
        "twin.jpeg",
        "twin.jpg.jpg",
        "folder.jpg/inner.jpg",
    ),
    *("line\nfolder/in.jpg", "deep/" * 60 + "down.jpg", "con/nul/aux.jpg"),
)
RAW_FILE_NAMES = (
    b"latin-caf\xe9.jpg",
    b"\xff\xfe.jpg",
    b"\xed\xa0\x80-surrogate.jpg",
    b"cut-\xe6\x97.jpg",
    b"bad-\xff/in.jpg",
)

IDS = (
    *("../../../../tmp/escaped", "/etc/cron.d/x", "..", ".", "a/../../b", "..\\..\\x", "%2e%2e%2f", "C:\\x", "~root/x"),
    *("x" * 300, "y" * 100_000, " ", "\t", "\n", "line\nbreak", "\0", "nul\0inside", "\x1b]0;title\x07", "\r\n\r\n"),
    *("caf\u00e9", "cafe\u0301", "Case", "case", "\u202eabc", "\u2028", "\ufeff", "\u200b", "\U0001f9e5", "\ufffd"),
    *("NaN", "null", "None", "-1", "0", "00", "1e5", "true", "=1+1", "@SUM(1)", "'; DROP TABLE photos; --"),
    *("<script>alert(1)</script>", "</script><b>", "{{7*7}}", "${jndi:ldap://127.0.0.1/x}", "%s%s%n", "__proto__"),
    *("http://127.0.0.1/x", "gs://bucket/x", "file:///etc/passwd", "id#7", "a,b", 'say "hi"', "CON", "LATEST", "runs"),
)
RAW_IDS = (b"\xff\xfe", b"caf\xe9", b"\xed\xa0\x80", b"cut-\xe6\x97")

# Places that a feed may name and that must not be read, or not be waited for.
PATHS: dict[str, Expected] = {
    "/etc/passwd": ("decode", Reason.NOT_AN_IMAGE),
    "file:///etc/passwd": ("decode", Reason.NOT_AN_IMAGE),
    "../../../../../../../../etc/passwd": ("decode", Reason.NOT_AN_IMAGE),
    "/dev/zero": ("fetch", Reason.FETCH_FAILED),
    "/dev/stdin": ("fetch", Reason.FETCH_FAILED),
    "/proc/self/environ": ("decode", Reason.NOT_AN_IMAGE),
    "/tmp": ("fetch", Reason.FETCH_FAILED),
    "pipe.jpg": ("fetch", Reason.FETCH_FAILED),
    "nowhere.jpg": ("fetch", Reason.NOT_FOUND),
    "nul\0inside.jpg": ("fetch", Reason.NOT_FOUND),
    "n" * 5_000 + ".jpg": ("fetch", Reason.NOT_FOUND),
    "data:image/png;base64,AAAA": ("fetch", Reason.FETCH_FAILED),
    "http://127.0.0.1:1/x.jpg": ("fetch", Reason.FETCH_FAILED),
    "http://[::1]/x.jpg": ("fetch", Reason.FETCH_FAILED),
    "http://169.254.169.254/latest/meta-data/": ("fetch", Reason.FETCH_FAILED),
    "http://localhost/x.jpg": ("fetch", Reason.FETCH_FAILED),
    "http://": ("fetch", Reason.FETCH_FAILED),
    "gopher://127.0.0.1/x": ("fetch", Reason.FETCH_FAILED),
    "gs://": ("fetch", Reason.NOT_FOUND),
    "": ("read", Reason.EMPTY),
}


def write_named(folder: Path, photos: list[bytes]) -> dict[str, Expected]:
    """Puts sound photos under hostile names, and things beside them that are no files.

    Args:
      folder: where; must exist.
      photos: contents, used in turn.

    Returns:
      What is expected of each photo, by id. Links to folders and empty folders are no photos.
    """
    expected: dict[str, Expected] = {}
    names = [os.fsencode(name) for name in FILE_NAMES] + list(RAW_FILE_NAMES)
    for index, name in enumerate(names):
        path = os.path.join(os.fsencode(folder), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(photos[index % len(photos)])
        expected[id_of_name(os.fsdecode(name))] = None
    for link, target, outcome in (
        ("link.jpg", "case.jpg", None),
        ("loop-a.jpg", "loop-b.jpg", ("fetch", Reason.NOT_FOUND)),
        ("loop-b.jpg", "loop-a.jpg", ("fetch", Reason.NOT_FOUND)),
        ("own-loop.jpg", "own-loop.jpg", ("fetch", Reason.NOT_FOUND)),
        ("dangling.jpg", "nowhere.jpg", ("fetch", Reason.NOT_FOUND)),
        ("device.jpg", "/dev/zero", ("fetch", Reason.FETCH_FAILED)),
    ):
        (folder / link).symlink_to(target)
        expected[link] = outcome
    os.mkfifo(folder / "pipe.jpg")
    expected["pipe.jpg"] = ("fetch", Reason.FETCH_FAILED)
    (folder / "empty-folder.jpg").mkdir()
    (folder / "around").symlink_to(".", target_is_directory=True)
    if os.geteuid():  # root reads everything
        (folder / "locked.jpg").write_bytes(photos[0])
        (folder / "locked.jpg").chmod(0)
        expected["locked.jpg"] = ("fetch", Reason.FETCH_FAILED)
    return expected
