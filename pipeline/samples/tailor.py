"""Sewing: flat-laid goods are put together piece by piece, each a mask, cloth and relief."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from pipeline.samples import fabric, folds, noise, outlines, palette


@dataclasses.dataclass
class Goods:
    """A product in its own patch, before light falls on it.

    Attributes:
      albedo: linear RGB, float32 (h, w, 3).
      alpha: coverage, float32 (h, w), 0..1.
      relief: height above the ground in pixels, float32 (h, w).
      gloss: strength of mirror-like reflection, float32 (h, w).
      shade: light kept after the product's own occlusion, float32 (h, w), 0..1.
      sheen: brightening at grazing angles.
      thickness: height of the rim above the ground in pixels, for the shadow.
    """

    albedo: np.ndarray
    alpha: np.ndarray
    relief: np.ndarray
    gloss: np.ndarray
    shade: np.ndarray
    sheen: float = 0.0
    thickness: float = 6.0


class Tailor:
    """Collects the pieces of one garment. Lengths are in cm from the patch's top centre; y downwards.

    Args:
      rng: source of randomness.
      size: height and width of the patch in cm.
      px: pixels per cm.
    """

    def __init__(self, rng: np.random.Generator, size: tuple[float, float], px: float):
        self.rng, self.px = rng, px
        self.shape = (int(size[0] * px), int(size[1] * px))
        self.albedo = np.zeros((*self.shape, 3), np.float32)
        self.alpha = np.zeros(self.shape, np.float32)
        self.relief = np.zeros(self.shape, np.float32)
        self.gloss = np.full(self.shape, 0.02, np.float32)
        self.shade = np.ones(self.shape, np.float32)

    def pixels(self, points: np.ndarray | Sequence) -> np.ndarray:
        """Returns points in pixels of the patch, from cm."""
        return np.asarray(points, np.float32)[..., :2] * self.px + np.array([self.shape[1] / 2, 0], np.float32)

    def wrinkles(self, cloth: fabric.Cloth, amount: float = 1.0) -> np.ndarray:
        """Returns the relief of a garment spread by hand, in pixels, over the whole patch."""
        size = self.px * self.rng.uniform(6, 13)
        # Stiff cloth keeps few sharp folds, soft cloth many shallow ones.
        field = folds.creases(self.rng, self.shape, size, sharpness=0.2 + 0.7 * cloth.stiffness, octaves=3)
        where = noise.smoothstep(-1.2, 1.4, noise.smooth(self.rng, self.shape, 22 * self.px))
        broad = noise.smooth(self.rng, self.shape, 16 * self.px)
        height = 0.058 * size * amount * self.rng.uniform(0.6, 1.4)
        return height * (0.3 + 0.7 * where) * field + 1.7 * self.px * amount * broad

    def piece(
        self,
        knots: Sequence | np.ndarray,
        cloth: fabric.Cloth,
        *,
        angle: float = 0.0,
        relief: np.ndarray | None = None,
        lift: float = 0.08,
        edge: float = 0.35,
        darken: float = 1.0,
        occlude: float = 0.3,
        unevenness: float = 0.13,
        holes: tuple = (),
    ) -> np.ndarray:
        """Lays one piece of cloth on those before it.

        Args:
          knots: its outline in cm, see ``outlines.spline``; or a ready closed polyline, float (n, 2), cm.
          cloth: material.
          angle: of the grain, radians.
          relief: wrinkles over the whole patch in pixels, or None.
          lift: its edge above what it lies on, cm.
          edge: over how many cm the edge rounds off.
          darken: factor on the albedo, for insides.
          occlude: how dark its edge makes what it lies on, 0..1.
          unevenness: how far its outline strays, cm.
          holes: outlines (knots) that are cut out.

        Returns:
          The piece's mask over the patch, float32 0..1.
        """
        line = self._line(knots, unevenness)
        cuts = [self._line(hole, unevenness * 0.6) for hole in holes]
        pad = int(2.0 * self.px) + 3
        x0, y0 = np.maximum(np.floor(line.min(0)).astype(int) - pad, 0)
        x1, y1 = np.minimum(np.ceil(line.max(0)).astype(int) + pad, self.shape[::-1])
        window = (slice(y0, y1), slice(x0, x1))
        shape = (y1 - y0, x1 - x0)
        origin = np.array([x0, y0], np.float32)
        mask = outlines.fill(shape, line - origin, *[cut - origin for cut in cuts])
        albedo, fine = fabric.cut(cloth, shape, angle, tuple(self.rng.uniform(20, 160, 2)))
        under = self.alpha[window]
        if occlude > 0 and under.max() > 0:
            halo = noise.blur(mask, 0.35 * self.px) * 0.6 + noise.blur(mask, 1.1 * self.px) * 0.4
            self.shade[window] *= 1 - occlude * halo * (1 - mask)
        inner = cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 3)
        step = lift * self.px * (1 - np.exp(-inner / (edge * self.px)))
        ground = noise.blur(self.relief[window], 0.6 * self.px)
        own = 0.6 * ground + step + fine
        if relief is not None:
            own += relief[window] * (0.25 + 0.75 * np.clip(inner / (2.5 * self.px), 0, 1))
        solid = mask[..., None]
        self.albedo[window] += (albedo * np.float32(darken) - self.albedo[window]) * solid
        self.relief[window] += (own - self.relief[window]) * mask
        self.gloss[window] += (max(cloth.gloss, 0.03) - self.gloss[window]) * mask
        self.shade[window] += ((0.55 + 0.45 * darken) - self.shade[window]) * mask
        self.alpha[window] = np.maximum(under, mask)
        whole = np.zeros(self.shape, np.float32)
        whole[window] = mask
        return whole

    def _line(self, knots, unevenness: float) -> np.ndarray:
        line = np.asarray(knots, np.float32) if isinstance(knots, np.ndarray) else outlines.spline(knots)
        return self.pixels(outlines.uneven(self.rng, line, 7.0, unevenness))

    def _around(self, line: np.ndarray, margin: float) -> tuple[tuple[slice, slice], tuple[int, int], np.ndarray]:
        """Returns the window of the patch around a line (pixels), its shape, and the line within it."""
        x0, y0 = np.maximum(np.floor(line.min(0) - margin).astype(int), 0)
        x1, y1 = np.minimum(np.ceil(line.max(0) + margin).astype(int) + 1, self.shape[::-1])
        x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
        window = (slice(y0, y1), slice(x0, x1))
        return window, self.alpha[window].shape, line - np.array([x0, y0], np.float32)

    def seam(
        self, knots: Sequence, *, depth: float = 0.06, width: float = 0.22, within: np.ndarray | None = None
    ) -> None:
        """Draws a seam: a groove with the cloth puckered along it. ``knots`` is an open line in cm."""
        line = self.pixels(outlines.spline(knots, closed=False))
        window, shape, line = self._around(line, 3 * width * self.px + 3)
        mark = outlines.stroke(shape, line, max(1.0, 0.1 * self.px))
        groove = cv2.GaussianBlur(mark, (0, 0), max(0.8, width * self.px / 2))
        if within is not None:
            groove *= within[window]
            mark = mark * within[window]
        pucker = 1 + 0.5 * noise.smooth(self.rng, shape, 0.8 * self.px)
        self.relief[window] -= depth * self.px * 3 * groove * pucker
        self.shade[window] *= 1 - 0.28 * np.clip(mark + groove, 0, 1)

    def topstitch(self, knots: Sequence, colour: np.ndarray, *, within: np.ndarray | None = None) -> None:
        """Draws a line of visible stitches in a thread colour (linear RGB)."""
        line = self.pixels(outlines.spline(knots, closed=False))
        window, shape, line = self._around(line, 0.5 * self.px + 3)
        mask = outlines.stitches(shape, line, max(2.0, 0.28 * self.px), max(0.8, 0.07 * self.px))
        if within is not None:
            mask *= within[window]
        mask *= 0.8
        self.albedo[window] += (colour - self.albedo[window]) * mask[..., None]
        self.relief[window] -= 0.10 * self.px * cv2.GaussianBlur(mask, (0, 0), max(0.8, 0.1 * self.px))

    def ribbing(self, mask: np.ndarray, across: float, pitch: float = 0.35) -> None:
        """Turns the cloth under a mask into rib knit, its ribs at an angle in radians, ``pitch`` in cm."""
        y0, y1, x0, x1 = _extent(mask)
        y, x = np.mgrid[y0:y1, x0:x1].astype(np.float32)
        period = max(2.6, pitch * self.px)
        wave = np.sin((x * np.cos(across) + y * np.sin(across)) * (2 * np.pi / period))
        share = mask[y0:y1, x0:x1]
        self.relief[y0:y1, x0:x1] += 0.07 * self.px * wave * share
        self.shade[y0:y1, x0:x1] *= 1 - share * (0.07 - 0.07 * wave)

    def button(self, x: float, y: float, radius: float, colour: np.ndarray) -> None:
        """Sews on a button at x, y (cm), of a radius in cm."""
        centre = self.pixels([x, y])
        r = max(2.0, radius * self.px)
        turn = np.linspace(0, 2 * np.pi, 28, endpoint=False)
        circle = (centre + r * np.stack([np.cos(turn), np.sin(turn)], 1)).astype(np.float32)
        window, shape, line = self._around(circle, 0.8 * r + 3)
        disc = outlines.fill(shape, line)
        self.shade[window] *= 1 - 0.35 * cv2.GaussianBlur(disc, (0, 0), max(1.0, 0.35 * r)) * (1 - disc)
        gy, gx = np.mgrid[window].astype(np.float32)
        gx, gy = (gx - centre[0]) / r, (gy - centre[1]) / r
        self.albedo[window] += (colour - self.albedo[window]) * disc[..., None]
        rim = np.exp(-(((np.hypot(gx, gy) - 0.8) / 0.16) ** 2))
        self.relief[window] += (0.18 * self.px * (0.4 + rim)) * disc
        self.gloss[window] += (0.22 - self.gloss[window]) * disc
        self.shade[window] *= np.where(np.hypot(np.abs(gx) - 0.24, np.abs(gy) - 0.24) < 0.13, 0.4, 1.0)

    def zip(self, knots: Sequence, colour: np.ndarray, width: float = 0.7) -> None:
        """Sews in a zip along an open line in cm."""
        line = self.pixels(outlines.spline(knots, closed=False))
        window, shape, line = self._around(line, width * self.px + 3)
        tape = outlines.stroke(shape, line, width * self.px) * (self.alpha[window] > 0.5)
        self.albedo[window] += (colour * 0.6 - self.albedo[window]) * tape[..., None]
        teeth = outlines.stitches(shape, line, max(1.5, 0.14 * self.px), 0.32 * self.px) * tape
        metal = palette.linear((176, 174, 168))
        self.albedo[window] += (metal - self.albedo[window]) * (0.8 * teeth[..., None])
        self.relief[window] += 0.12 * self.px * teeth - 0.10 * self.px * tape
        self.gloss[window] = np.maximum(self.gloss[window], 0.3 * teeth)

    def label(self, x: float, y: float, width: float, height: float, angle: float = 0.0) -> None:
        """Sews in a small woven label, centred at x, y (cm), with illegible lines on it."""
        light = self.rng.random() < 0.7
        ground = palette.colour(self.rng, *(("white", "cream") if light else ("black", "navy")))
        ink = palette.colour(self.rng, *(("black", "navy", "red") if light else ("white", "silver")))
        rect = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32) * np.array(
            [width / 2, height / 2], np.float32
        )
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]], np.float32)
        window, shape, line = self._around(self.pixels(rect @ turn + np.array([x, y], np.float32)), 4)
        origin = np.array([window[1].start, window[0].start], np.float32)
        mask = outlines.fill(shape, line) * (self.alpha[window] > 0.5)
        self.albedo[window] += (ground - self.albedo[window]) * mask[..., None]
        self.shade[window] += (1 - self.shade[window]) * 0.5 * mask
        for row in (-0.4, 0.05, 0.45):
            reach = width * self.rng.uniform(0.15, 0.36)
            ends = np.array([[-reach, row * height / 2], [reach, row * height / 2]], np.float32) @ turn + np.array(
                [x, y], np.float32
            )
            text = self.pixels(np.linspace(ends[0], ends[1], 12)) - origin
            marks = outlines.stitches(shape, text, 0.25 * self.px, max(0.8, 0.13 * height * self.px))
            self.albedo[window] += (ink - self.albedo[window]) * (0.85 * marks * mask)[..., None]

    def paint(self, mask: np.ndarray, colour: np.ndarray, opacity: float = 0.95) -> None:
        """Prints a colour through a mask on what lies on top."""
        share = mask * opacity * (self.alpha > 0.02)
        self.albedo += (colour - self.albedo) * share[..., None]

    def finish(self, cloth: fabric.Cloth) -> Goods:
        """Returns the garment, its rim rounded off as the cloth is thick."""
        inside = (self.alpha > 0.5).astype(np.uint8)
        distance = cv2.distanceTransform(inside, cv2.DIST_L2, 3)
        rim = 0.22 + 0.3 * cloth.loft
        loft = cloth.loft * self.px
        relief = self.relief + loft * (1 - np.exp(-distance / (rim * self.px)))
        relief += 0.6 * loft * (1 - np.exp(-distance / (5 * self.px)))
        # Stripes and prints bend over the folds, as seen a little from the front; never so far that a place at the
        # rim would take its colour from beyond it.
        broad = noise.blur(self.relief, 0.25 * self.px)
        dx = cv2.Sobel(broad, cv2.CV_32F, 1, 0, ksize=3, scale=0.9 * self.px / 8)
        dy = cv2.Sobel(broad, cv2.CV_32F, 0, 1, ksize=3, scale=0.9 * self.px / 8)
        bound = np.minimum(1, 0.7 * np.maximum(distance - 1.5, 0) / (np.hypot(dx, dy) + 1e-3))
        albedo = noise.displaced(self.albedo, dx * bound, dy * bound)
        y0, y1, x0, x1 = _extent(self.alpha, 4)
        window = (slice(y0, y1), slice(x0, x1))
        return Goods(
            albedo=np.clip(albedo[window], 0.003, 0.93),
            alpha=self.alpha[window],
            relief=relief[window],
            gloss=self.gloss[window],
            shade=self.shade[window],
            sheen=cloth.sheen,
            thickness=(0.5 + 1.0 * cloth.loft) * self.px,
        )


def _extent(mask: np.ndarray, margin: int = 1) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.max(1) > 0), np.flatnonzero(mask.max(0) > 0)
    if not len(rows):
        return 0, 1, 0, 1
    height, width = mask.shape
    return (
        max(0, int(rows[0]) - margin),
        min(height, int(rows[-1]) + 1 + margin),
        max(0, int(columns[0]) - margin),
        min(width, int(columns[-1]) + 1 + margin),
    )
