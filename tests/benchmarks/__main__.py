"""``make bench``: measures what the project promises, as ratios within one run, and writes docs/BENCHMARKS.md."""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from pipeline.running import silence_libraries
from tests.benchmarks.bench import FULL, QUICK, USUAL, Bench, circumstances
from tests.benchmarks.looping import floor_section, loop_section
from tests.benchmarks.matting import matte_section, network_section
from tests.benchmarks.memory import memory_section
from tests.benchmarks.million import million_section
from tests.benchmarks.processes import ROOT
from tests.benchmarks.refreshing import refresh_section
from tests.benchmarks.rembg import rembg_section
from tests.benchmarks.results import Section, save_section, update_page
from tests.benchmarks.stages import stages_section
from tests.benchmarks.workers import workers_section

PAGE = ROOT / "docs" / "BENCHMARKS.md"
SECTIONS: dict[str, Callable[[Bench], Section]] = {
    "rembg": rembg_section,
    "loop": loop_section,
    "floor": floor_section,
    "workers": workers_section,
    "refresh": refresh_section,
    "memory": memory_section,
    "million": million_section,
    "stages": stages_section,
    "matte": matte_section,
    "network": network_section,
}


def main(arguments: list[str] | None = None) -> None:
    """Measures, prints what was found, and puts it into the page, unless sizes were too small for that."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--only", default=",".join(SECTIONS), help="comma-separated sections (default: %(default)s)")
    parser.add_argument("--photos", metavar="PATH", help="folder or Parquet file of real photos (default: rendered)")
    parser.add_argument("--quick", action="store_true", help="see whether everything works; writes no page")
    parser.add_argument("--full", action="store_true", help="10,000 photos for refresh and memory, a million rows")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "bench", help="to work in")
    parsed = parser.parse_args(arguments)
    keys = [key.strip() for key in parsed.only.split(",")]
    if unknown := [key for key in keys if key not in SECTIONS]:
        parser.error(f"--only names {unknown[0]!r}; the sections are {', '.join(SECTIONS)}")
    silence_libraries(verbose=False)
    sizes = QUICK if parsed.quick else FULL if parsed.full else USUAL
    bench = Bench(parsed.folder.resolve(), sizes, parsed.photos)
    for key in keys:
        where = circumstances()
        print(f"{key} ...", file=sys.stderr, flush=True)
        section = SECTIONS[key](bench)
        flags = [f"--only {key}", *(f"--{name}" for name in ("quick", "full") if getattr(parsed, name))]
        kind = "photos of a real catalogue" if parsed.photos else "rendered photos"
        machine = f"{where['cores']} cores ({where['processor']}), load before {where['load_before']}"
        said = f"`python -m tests.benchmarks {' '.join(flags)}`, {kind}, {machine}."
        print(f"### {section.title}\n\n{said}\n\n{section.text}\n", flush=True)
        for bar in section.bars:
            print("  ".join(bar.row()), flush=True)
        save_section(section, {**where, "sizes": dataclasses.asdict(sizes)}, bench.folder)
        if not parsed.quick:
            PAGE.write_text(update_page(PAGE.read_text(encoding="utf-8"), [section], said), encoding="utf-8")
    shutil.rmtree(bench.folder / "scratch", ignore_errors=True)
    shutil.rmtree(bench.folder / "catalogues", ignore_errors=True)


if __name__ == "__main__":
    main()
