"""Sections ``matte`` and ``network``: what network, matte and edge colours cost, and how good the colours are.

Everything is timed in turn, round after round, so that all meet the same load, and the least time counts.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

import cv2
import numpy as np

from models.handlers import load_segmenter
from models.registry import resolve_model
from tests.benchmarks.bench import Bench
from tests.benchmarks.results import Section, markdown_table
from transforms.foreground import estimate_foreground
from transforms.matte import refine_alpha

SIDE = 1000
SIZES = (192, 256, 320)


def least_milliseconds(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Times calls in turn; the first round warms up."""
    best = dict.fromkeys(calls, np.inf)
    for number in range(rounds + 1):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if number:
                best[name] = min(best[name], 1000 * (time.perf_counter() - started))
    return best


def draw_composite(side: int = SIDE, seed: int = 0) -> dict[str, np.ndarray]:
    """Composes a shaded, textured product with soft and thin parts over a textured ground; all of it is known.

    Returns:
      ``image``, ``foreground`` uint8 (side, side, 3); ``alpha`` uint8 (side, side); ``coarse`` uint8 (256, 256).
    """
    rng = np.random.default_rng(seed)

    def surface(colour):
        grain = [cv2.GaussianBlur(rng.normal(size=(side, side, 3)), (0, 0), s) * s * 9 for s in (1.5, 12)]
        return np.clip(np.array(colour) + sum(grain) + np.linspace(-25, 25, side)[:, None, None], 0, 255)

    alpha = np.zeros((side, side), np.uint8)
    cv2.ellipse(alpha, (side // 2, side * 3 // 5), (side // 3, side // 4), 0, 0, 360, 255, -1)
    for x in (0.4, 0.6):
        cv2.line(alpha, (round(side * x), side // 2), (round(side * x * 0.9), side // 10), 255, side // 100)
    alpha = cv2.GaussianBlur(alpha, (0, 0), 1.6)
    product, ground = surface((170, 70, 60)), surface((185, 195, 200))
    share = alpha[..., None] / 255
    image = np.clip(product * share + ground * (1 - share) + 0.5, 0, 255).astype(np.uint8)
    coarse = cv2.GaussianBlur(cv2.resize(alpha, (256, 256), interpolation=cv2.INTER_AREA), (0, 0), 1.0)
    return {"image": image, "foreground": product.astype(np.uint8), "alpha": alpha, "coarse": coarse}


def edge_error(found: np.ndarray, truth: dict[str, np.ndarray], ground: tuple[int, int, int]) -> float:
    """Mean error of composed colours, of 255, where alpha is between .02 and .98."""
    edge = (truth["alpha"] > 5) & (truth["alpha"] < 250)
    share = truth["alpha"][edge][:, None] / 255
    shown, wanted = (colours[edge] * share + np.array(ground) * (1 - share) for colours in (found, truth["foreground"]))
    return float(np.abs(shown - wanted).mean())


def matte_section(bench: Bench) -> Section:
    """Measures refinement and edge colours at 1000 x 1000 on one core, with pymatting's in the same run."""
    import pymatting

    cv2.setNumThreads(1)
    truth = draw_composite()
    image, alpha = truth["image"], truth["alpha"]

    def reference():
        colours = pymatting.estimate_foreground_ml(image / 255, alpha / 255)
        return np.clip(255 * colours + 0.5, 0, 255).astype(np.uint8)

    calls: dict[str, Callable[[], np.ndarray]] = {
        "refine_alpha": lambda: refine_alpha(image, truth["coarse"]),
        "estimate_foreground": lambda: estimate_foreground(image, alpha),
        "pymatting.estimate_foreground_ml": reference,
    }
    spent = least_milliseconds(calls, 10 * bench.sizes.rounds)
    base = spent["pymatting.estimate_foreground_ml"]
    rows = []
    for name, call in calls.items():
        errors = ("-", "-")
        if name != "refine_alpha":
            colours = call()
            errors = tuple(f"{edge_error(colours, truth, ground):.2f}" for ground in ((0, 0, 0), (0, 255, 0)))
        rows.append((name, f"{spent[name]:.1f}", f"{spent[name] / base:.3f}", *errors))
    head = (f"{SIDE} x {SIDE}, one core", "ms", "ratio", "edge error on black", "on green")
    text = "A composite of synthetic grain; errors of 255.\n\n" + markdown_table(head, rows)
    return Section("matte", "Matte and edge colours beside pymatting", text, {"milliseconds": spent})


def network_section(bench: Bench) -> Section:
    """Times the default model's network on LiteRT, by size, weights and threads."""
    import keras

    from models import export

    spec = resolve_model()
    network = keras.models.load_model(spec.accelerated or "", compile=False)
    calls: dict[str, Callable[[], object]] = {}
    scratch = bench.scratch("network")
    for size in SIZES:
        resized = network if network.input_shape[1] == size else export.resized(network, size)
        image = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
        for weights in ("float16", "dynamic"):
            path = export.export_litert(resized, scratch / f"{size}-{weights}.tflite", weights=weights)
            for threads in (1, 2):
                predict = load_segmenter(str(path), threads=threads).predict
                calls[f"{size}², {weights}, {threads} threads"] = functools.partial(predict, [image])
    spent = least_milliseconds(calls, 15 * bench.sizes.rounds)
    rows = [(name, f"{milliseconds:.1f}") for name, milliseconds in spent.items()]
    text = f"The model {spec.name}, one image a call.\n\n" + markdown_table(("input, weights", "ms"), rows)
    return Section("network", "The network", text, {"milliseconds": spent})
