"""Measures of upper garments, their sleeves, and the folds that wearing leaves in them."""

from __future__ import annotations

import numpy as np

from pipeline.samples import fabric, folds, outlines, palette
from pipeline.samples.tailor import Tailor


class Bodice:
    """Measures of an upper garment in cm, drawn around common sizes."""

    def __init__(self, rng: np.random.Generator, *, length: float, ease: float = 1.0, fitted: float = 0.0):
        small = rng.random() < 0.2  # children's sizes are broader for their length
        self.chest = rng.uniform(22.5, 28.0) * ease * (1.08 if small else 1.0)
        self.length = length * rng.uniform(0.93, 1.08) * (0.88 if small else 1.0)
        self.shoulder = self.chest * rng.uniform(0.76, 0.88)
        self.slope = rng.uniform(2.5, 5.0)
        self.neck = rng.uniform(7.8, 10.0)
        self.armpit = rng.uniform(19.5, 24.0) * ease
        self.waist = self.chest * (1 - fitted * rng.uniform(0.05, 0.16))
        self.hem = self.chest * rng.uniform(0.95, 1.06)
        self.top = 5.0

    def outline(self, neck_depth: float, vee: bool = False) -> list[outlines.Knot]:
        """Returns the front's outline with a neckline of a depth in cm."""
        t = self.top
        if vee:
            neckline: list[outlines.Knot] = [(0.0, t + neck_depth, True)]
        else:
            neckline = [
                (0.0, t + neck_depth),
                (self.neck * 0.62, t + neck_depth * 0.78),
                (self.neck * 0.93, t + neck_depth * 0.34),
            ]
        half = [
            *neckline,
            (self.neck, t, True),
            (self.shoulder, t + self.slope, True),
            (self.shoulder * 0.955, t + self.slope + 0.5 * (self.armpit - self.slope)),
            (self.chest, t + self.armpit, True),
            (self.waist, t + 0.5 * (self.armpit + self.length)),
            (self.hem, t + self.length - 0.6, True),
            (self.hem * 0.5, t + self.length + 0.2),
            (0.0, t + self.length + 0.3),
        ]
        return outlines.mirrored(half)

    def back(self, depth: float) -> list:
        """Returns the part of the back that shows inside a neckline of a depth in cm."""
        t = self.top
        return outlines.mirrored(
            [
                (0.0, t + 1.6),
                (self.neck * 0.6, t + 1.0),
                (self.neck + 0.6, t - 0.4, True),
                (self.neck + 1.2, t + depth + 3, True),
                (0.0, t + depth + 4),
            ]
        )

    def sleeve(
        self, rng: np.random.Generator, side: int, length: float, angle: float, cuff: float
    ) -> tuple[list, np.ndarray, np.ndarray, float]:
        """Returns a sleeve.

        Args:
          rng: source of randomness.
          side: 1 for the picture's right, -1 for its left.
          length: from the middle of the armhole to the cuff, cm.
          angle: below the horizontal, radians.
          cuff: half the width of its end, cm.

        Returns:
          The outline, the cuff's two ends (outer, inner) as (2, 2), its direction (2,), and the angle of
          the cloth's grain.
        """
        shoulder = np.array([self.shoulder, self.top + self.slope])
        armpit = np.array([self.chest, self.top + self.armpit])
        middle = 0.5 * (shoulder + armpit) - (2.0, 1.0)
        bend = rng.normal(0.12, 0.12) if length > 35 else 0.0
        upper = np.array([np.cos(angle), np.sin(angle)])
        lower = np.array([np.cos(angle + bend), np.sin(angle + bend)])
        elbow = middle + 0.5 * length * upper
        end = elbow + 0.5 * length * lower
        across = np.array([-lower[1], lower[0]])
        bow = np.array([-upper[1], upper[0]])
        wide = 0.5 * (cuff + 0.48 * (self.armpit - self.slope))
        outer, inner = end - across * cuff, end + across * cuff
        knots = [
            (shoulder[0] - 4.0, shoulder[1] - 0.9, True),
            (shoulder[0] + 0.6, shoulder[1] + 0.5),
            tuple(elbow - bow * wide - 0.04 * length * upper),
            (*outer, True),
            (*inner, True),
            tuple(elbow + bow * wide * 0.96),
            (armpit[0], armpit[1], True),
            (armpit[0] - 3.0, armpit[1] - 1.0, True),
            (shoulder[0] - 6.0, shoulder[1] + 8.0, True),
        ]
        flip = [(side * knot[0], *knot[1:]) for knot in knots]
        ends = np.array([outer, inner]) * (side, 1)
        return flip, ends, lower * (side, 1), float(side * (np.pi / 2 - angle) * -1)


def strain(tailor: Tailor, body: Bodice, relief: np.ndarray, strength: float) -> None:
    """Adds the folds that armpits, shoulders and the waist of a worn garment keep."""
    rng, px = tailor.rng, tailor.px
    for side in (-1, 1):
        pit = tailor.pixels([side * (body.chest - 1), body.top + body.armpit])
        folds.fan(rng, relief, pit, np.pi / 2 + side * 0.75, 0.42, 5, 17 * px, strength * px)
        tip = tailor.pixels([side * body.shoulder * 0.9, body.top + body.slope + 2])
        folds.fan(rng, relief, tip, np.pi / 2 + side * 0.25, 0.5, 2, 13 * px, 0.6 * strength * px)
    for _ in range(rng.integers(3, 8)):
        at = tailor.pixels([rng.uniform(-0.8, 0.8) * body.waist, body.top + rng.uniform(0.55, 0.97) * body.length])
        folds.fan(rng, relief, at, rng.normal(-np.pi / 2, 0.8), 0.3, 2, 15 * px, 0.8 * strength * px)


def sew_sleeves(tailor: Tailor, body: Bodice, cloth: fabric.Cloth, relief: np.ndarray, style: str, cuffs: str) -> None:
    rng, px = tailor.rng, tailor.px
    length = {"short": rng.uniform(13, 19), "long": rng.uniform(46, 54), "half": rng.uniform(26, 33)}[style]
    base = rng.uniform(0.35, 0.85) if style == "short" else rng.uniform(0.9, 1.38)
    cuff = {"short": rng.uniform(7.5, 9.5), "long": rng.uniform(5.0, 6.8), "half": rng.uniform(6.5, 8.5)}[style]
    for side in (-1, 1):
        angle = base + rng.normal(0, 0.13)
        knots, ends, direction, grain = body.sleeve(rng, side, length, angle, cuff)
        own = relief.copy()
        pit = tailor.pixels([side * (body.chest + 1), body.top + body.armpit - 1])
        away = float(np.arctan2(direction[1], direction[0]))
        folds.fan(rng, own, pit, away - side * 0.5, 0.35, 5, min(length, 20) * px, 0.55 * px)
        if style == "long":  # the elbow bunches up
            middle = 0.5 * (ends.mean(0) + (side * body.shoulder, body.top + body.slope + 6))
            folds.fan(rng, own, tailor.pixels(middle), away + np.pi / 2, 0.6, 7, 10 * px, 0.6 * px)
            folds.fan(rng, own, tailor.pixels(ends.mean(0) - 6 * direction), away + np.pi / 2, 0.5, 4, 8 * px, 0.5 * px)
        mask = tailor.piece(knots, cloth, angle=grain, relief=own, lift=0.12)
        across = ends[1] - ends[0]
        if cuffs == "rib":
            deep = rng.uniform(4.5, 6.5) if style == "long" else 1.6
            tuck = 0.14 if style == "long" else 0.02
            band = np.array(
                [ends[0] - direction * 0.3, ends[1] - direction * 0.3,
                 ends[1] + direction * deep - across * tuck, ends[0] + direction * deep + across * tuck]
            )  # fmt: skip
            rib = tailor.piece([(*p, True) for p in band], cloth, angle=grain, lift=0.1, darken=0.93)
            tailor.ribbing(rib, float(np.arctan2(across[1], across[0])))
        elif cuffs == "hem":
            for inset in (1.5, 1.9):
                tailor.seam(
                    [tuple(ends[0] - direction * inset), tuple(ends[1] - direction * inset)],
                    depth=0.035, within=mask,
                )  # fmt: skip
        else:  # a shirt's buttoned cuff
            band = np.array(
                [
                    ends[0] - direction * 5.5,
                    ends[1] - direction * 5.5,
                    ends[1] + direction * 0.6,
                    ends[0] + direction * 0.6,
                ]
            )
            tailor.piece([(*p, True) for p in band], cloth, angle=grain + 0.05, lift=0.14, unevenness=0.06)
            x, y = ends[1] - direction * 2.5 - across * 0.22
            tailor.button(x, y, 0.5, palette.colour(rng, "white", "black", "beige"))
