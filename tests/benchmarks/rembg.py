"""Section ``rembg``: a folder of photos beside ``rembg p`` with a U²-Net† of our own weights.

rembg runs in a process and an environment of its own, below ``build/bench``; nothing but Python packages is fetched.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np

from tests.benchmarks import photos
from tests.benchmarks.bench import Bench, fastest
from tests.benchmarks.processes import JobRun, Usage, run_command, run_job, steady_rate
from tests.benchmarks.results import Bar, Section, markdown_table
from tests.benchmarks.u2netp import Widths, build_u2netp

# what decides rembg's speed; the rest follows from these
REQUIREMENTS = (
    "rembg[cpu,cli]==2.0.86",
    "numba==0.68.1",
    "numpy==2.4.6",
    "onnxruntime==1.32.0",
    "pillow==12.3.0",
    "pymatting==1.1.16",
    "scikit-image==0.26.0",
    "scipy==1.17.1",
)
# as published, and as narrow as the 6.4 G multiplications at 320² that our bar speaks of
PUBLISHED, NARROW = Widths(64, 16), Widths(32, 12)


def rembg_program(folder: Path) -> Path:
    """Returns the ``rembg`` command, installed into an environment of its own on first use."""
    home = folder / "rembg-venv"
    done = home / "installed"
    wanted = hashlib.sha256("\n".join(REQUIREMENTS).encode()).hexdigest()
    if not done.exists() or done.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        pip = [str(home / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *REQUIREMENTS], check=True)
        done.write_text(wanted)
    return home / "bin" / "rembg"


def run_rembg(program: Path, network: Path, source: Path, output: Path, *flags: str) -> tuple[Usage, float]:
    """Runs rembg's folder mode.

    Returns:
      What it took, and its steady rate in photos a second.

    Raises:
      RuntimeError: it failed, or wrote fewer files than it was given.
    """
    settings = json.dumps({"model_path": str(network.resolve())})
    command = [str(program), "p", *flags, "-m", "u2net_custom", "-x", settings, str(source), str(output)]
    # it takes no model from outside of its home
    usage = run_command(command, {"U2NET_HOME": str(network.parent.resolve())})
    given, made = len(os.listdir(source)), len(list(output.glob("*.png")))
    if made != given:
        raise RuntimeError(f"rembg made {made} files of {given} photos in {source}")
    return usage, steady_rate(output) if given >= 10 else (given - 1) / _spread(output)


def _spread(folder: Path) -> float:
    times = [path.stat().st_mtime for path in folder.iterdir()]
    return max(times) - min(times)


def unknown_share(output: Path) -> float:
    """Returns which part of rembg's cut-outs is neither product nor ground, what ``-a`` has to solve."""
    alphas = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., 3] for path in sorted(output.glob("*.png"))]
    return _mean_unknown(alphas)


def _mean_unknown(alphas: list[np.ndarray]) -> float:
    """Mean part of the frame that rembg's trimap leaves open: its thresholds 240 and 10, eroded by 10 pixels."""
    window = np.ones((10, 10), np.uint8)
    sure = [
        cv2.erode((a > 240).astype(np.uint8), window) + cv2.erode((a < 10).astype(np.uint8), window) for a in alphas
    ]
    return float(np.mean([1 - s.mean() for s in sure]))


def rembg_section(bench: Bench) -> Section:
    """Compares end to end, once plain and once with rembg's alpha matting, which finds edge colours as we always do."""
    sizes, program = bench.sizes, rembg_program(bench.folder)
    networks = {widths: bench.folder / f"u2netp-{widths.outer}-{widths.inner}.onnx" for widths in (PUBLISHED, NARROW)}
    costs = {widths: build_u2netp(path, widths) for widths, path in networks.items()}
    counts = {"job": sizes.job, "plain": sizes.rembg, "alpha": sizes.rembg_alpha, "warm": 2}
    folders = {
        name: photos.write_folder(bench.pictures, bench.scratch(f"photos-{name}"), count)
        for name, count in counts.items()
    }
    run_rembg(program, networks[NARROW], folders["warm"], bench.scratch("rembg-warm"), "-a")
    run_job(folders["warm"], bench.scratch("job-warm"))

    def theirs(widths: Widths, photos: str, *flags: str) -> tuple[Usage, float]:
        output = bench.scratch(f"rembg-{photos}-{widths.outer}")
        return run_rembg(program, networks[widths], folders[photos], output, *flags)

    def ours() -> tuple[Usage, float]:
        job: JobRun = run_job(folders["job"], bench.scratch("job"))
        return job.usage, job.steady

    best = fastest(
        sizes.rounds,
        {
            "ours": ours,
            "narrow": lambda: theirs(NARROW, "plain"),
            "published": lambda: theirs(PUBLISHED, "plain"),
            "narrow -a": lambda: theirs(NARROW, "alpha", "-a"),
        },
        lambda found: -found[1],
    )
    open_share = unknown_share(bench.folder / "scratch" / f"rembg-plain-{NARROW.outer}")
    masks = sorted((bench.folder / "scratch" / "job" / "assets" / "mask").rglob("*.png"))[: sizes.rembg]
    ours_open = _mean_unknown([cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in masks])
    labels = {
        "ours": ("Packshot: packshot 1000² and mask", counts["job"]),
        "narrow": (f"rembg, U²-Net† narrowed to {costs[NARROW].macs / 1e9:.1f} GMAC", counts["plain"]),
        "published": (f"rembg, U²-Net† as published, {costs[PUBLISHED].macs / 1e9:.1f} GMAC", counts["plain"]),
        "narrow -a": ("rembg -a, narrowed", counts["alpha"]),
    }
    usage, rate = best["ours"]
    rows = [
        (
            label,
            count,
            f"{best[name][1]:.2f}",
            f"{rate / best[name][1]:.1f} ×",
            f"{best[name][0].wall:.1f}",
            f"{(counts['job'] / usage.wall) / (count / best[name][0].wall):.1f} ×",
            f"{best[name][0].peak_mb:.0f}",
        )
        for name, (label, count) in labels.items()
    ]
    text = "\n\n".join(
        [
            f"Photos of {photos.LONG_SIDE} pixels in a folder, in turn, fastest of {sizes.rounds}, each program a "
            "process of its own that may use all cores. *Steady*: from the first tenth of the files to the last, by "
            "their times, so without start-up, and without our report; *command*: all of it.",
            markdown_table(
                (
                    "",
                    "photos",
                    "steady, images/s",
                    "ours against it",
                    "command, s",
                    "ours, start-up included",
                    "peak MB",
                ),
                rows,
            ),
            f"rembg {REQUIREMENTS[0].partition('==')[2]} writes a cut-out at the photo's own size and finds edge "
            "colours only with `-a`; ours always finds them, and enlarges to 1000². Its network's weights are random, "
            "with a mask from the distance to the border's colour added, so that what follows has a mask to work on: "
            f"{open_share:.0%} of the frame is left open for `-a` to solve; by our own masks of these photos it would "
            f"be {ours_open:.0%}. U²-Net† with the published widths takes {costs[PUBLISHED].macs / 1e9:.1f} G "
            "multiplications at 320²; the bar speaks of 6.4, so a narrowed one is compared with too.",
        ]
    )
    how = f"{counts['job']} and {counts['plain']} photos, steady, {costs[NARROW].macs / 1e9:.1f} GMAC"
    bars = (
        Bar("images/s against rembg folder mode", rate / best["narrow"][1], 8, 15, how, unit=" ×"),
        Bar("images/s against rembg -a", rate / best["narrow -a"][1], 20, 40, f"{counts['alpha']} photos", unit=" ×"),
    )
    figures = {
        "photos": counts,
        "networks": {f"{w.outer}-{w.inner}": vars(cost) for w, cost in costs.items()},
        "runs": {name: {"steady": found[1], **vars(found[0])} for name, found in best.items()},
        "unknown_share": {"theirs": open_share, "ours": ours_open},
    }
    return Section("rembg", "Beside rembg", text, figures, bars)
