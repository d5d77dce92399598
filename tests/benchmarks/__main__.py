"""``make bench``: what the pipeline costs over a plain loop of the same functions, and where the time goes.

Ratios within one run hold; absolute times are those of one machine on one day.
"""

from __future__ import annotations

import argparse
import functools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from models.handlers import load_segmenter
from models.registry import resolve_model
from pipeline.config import RunConfig
from pipeline.planning import plan_run
from pipeline.records import Encoded, Photo
from pipeline.running import read_run
from pipeline.samples import render_samples
from pipeline.sinks.assets import write_assets
from pipeline.sources.fetch import fetch_photo
from pipeline.version import __version__
from tests.benchmarks.matting import matting_table, network_table
from transforms.compose import compose_photo, required_working_side
from transforms.decode import DecodeLimits, decode_photo
from transforms.encode import encode_photo
from transforms.matte import matte_photo
from transforms.normalise import NormaliseLimits, normalise_photo
from transforms.segment import segment


def plain_loop(photos: Path, output: Path) -> dict[str, float]:
    """Processes a folder without Beam, one photo after the other; returns milliseconds a photo by stage."""
    config = RunConfig(input=str(photos), output=str(output))
    profile, spec = config.load_profile(), resolve_model(config.segmentation_model)
    model = load_segmenter(spec, threads=1)
    fingerprint = config.fingerprint(__version__)

    def add_mask(photo):
        found = segment(photo.image, model)
        return photo.replace(coarse_mask=found.mask, presence=found.presence)

    fetch = functools.partial(fetch_photo, max_bytes=config.max_bytes, timeout=5, retries=0)
    stages = {
        "fetch": fetch,
        "decode": functools.partial(decode_photo, limits=DecodeLimits(), wanted=required_working_side(profile)),
        "segment": add_mask,
        "matte": matte_photo,
        "normalise": functools.partial(normalise_photo, limits=NormaliseLimits()),
        "compose": functools.partial(compose_photo, profile=profile),
        "encode": functools.partial(
            encode_photo,
            outputs=config.outputs,
            profile=profile,
            cutout_format=config.cutout_format,
            encoded_type=Encoded,
        ),
        "write": functools.partial(
            write_assets, output=config.output, fingerprint=fingerprint, model_sha256=spec.sha256
        ),
    }
    spent = dict.fromkeys(stages, 0.0)
    files = [path for path in sorted(photos.rglob("*")) if path.is_file()]
    for file in files:
        photo = Photo(file.relative_to(photos).as_posix(), str(file))
        for name, stage in stages.items():
            started = time.perf_counter()
            photo = stage(photo)
            spent[name] += 1000 * (time.perf_counter() - started)
    return {name: total / len(files) for name, total in spent.items()}


def pipeline_run(photos: Path, output: Path, *flags: str) -> dict:
    """Runs the command in a process of its own; returns its run.json with that process's ``peak_mb``."""
    command = [sys.executable, "-m", "pipeline", "run", "--input", str(photos), "--output", str(output), *flags]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with status {os.waitstatus_to_exitcode(status)}")
    run = read_run(str(output), (output / "LATEST").read_text().strip())
    return {**run, "peak_mb": usage.ru_maxrss / 1024}


def main() -> None:
    """Measures and prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", help="folder of photos (default: rendered ones)")
    parser.add_argument("--count", type=int, default=120, help="rendered photos")
    parser.add_argument("--only", choices=("job", "matte", "network"), help="one section (default: all)")
    parsed = parser.parse_args()
    if parsed.only in (None, "matte"):
        print(matting_table(), flush=True)
    if parsed.only in (None, "network"):
        with tempfile.TemporaryDirectory(prefix="packshot-bench-") as scratch:
            print(network_table(Path(scratch)), flush=True)
    if parsed.only in (None, "job"):
        _measure_job(parsed)


def _measure_job(parsed: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="packshot-bench-") as scratch:
        root = Path(scratch)
        if parsed.photos:
            photos = Path(parsed.photos)
        else:
            render_samples(root / "samples", count=parsed.count, seed=3)
            photos = root / "samples" / "images"
        read = plan_run(RunConfig(input=str(photos), output=str(root / "none"))).read
        plain_loop(photos, root / "warm-up")
        loop = plain_loop(photos, root / "loop")
        base = 1000 / sum(loop.values())
        one = ("--direct_running_mode=in_memory", "--direct_num_workers=1")
        two = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
        print(f"{read} photos; images/s, and the ratio to the plain loop in the same run\n")
        print("| what | images/s | ratio | peak MB |\n|---|---|---|---|")
        print(f"| plain loop, one process, model on one thread | {base:.1f} | 1.00 | |")
        for label, flags in (("pipeline, default (threads)", ()), ("pipeline, in memory", one), ("2 processes", two)):
            run = pipeline_run(photos, root / label.replace(" ", "-"), *flags)
            speed = run["images_per_second"]
            print(f"| {label} | {speed:.1f} | {speed / base:.2f} | {run['peak_mb']:.0f} |", flush=True)
        print("\n| stage | ms a photo, plain loop |\n|---|---|")
        for name, milliseconds in loop.items():
            print(f"| {name} | {milliseconds:.1f} |")


if __name__ == "__main__":
    main()
