"""Coverage-guided fuzzing with atheris: ``python -m tests.fuzz decode|parquet``; run by ``make fuzz``.

Python's own code is instrumented: the containers are walked in it. Codecs are called, but not looked into. An input
that raises, or takes longer than ten seconds or more than 2 GB, is written to ``build/fuzz/<target>-crash-...``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

_BUILD = Path("build/fuzz")
_LONGEST, _LARGEST, _MEMORY = 10, 1 << 16, 2048  # seconds, bytes, MB

with atheris.instrument_imports(
    include=["transforms", "pipeline.sources", "PIL", "pyarrow.parquet"], enable_loader_override=False
):
    from tests.fuzz.seeds import parquet_seeds, picture_seeds
    from tests.fuzz.targets import decode_photo, read_parquet

TARGETS = {"decode": (decode_photo, picture_seeds), "parquet": (read_parquet, parquet_seeds)}


def main(name: str, seconds: int) -> None:
    """Fuzzes a target for some seconds, from seeds and from what earlier runs found."""
    target, seeds = TARGETS[name]
    corpus, sown = _BUILD / f"{name}-corpus", _BUILD / f"{name}-seeds"
    for folder in (corpus, sown):
        folder.mkdir(parents=True, exist_ok=True)
    for seed, content in seeds().items():
        (sown / seed.replace("/", "_")).write_bytes(content)
    limits = (f"-max_total_time={seconds}", f"-timeout={_LONGEST}", f"-max_len={_LARGEST}", f"-rss_limit_mb={_MEMORY}")
    flags = (*limits, f"-artifact_prefix={_BUILD}/{name}-", "-print_final_stats=1", str(corpus), str(sown))
    atheris.Setup([sys.argv[0], *flags], lambda content: target(content) and None)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 60)
