"""Training samples made on the fly: real photos varied, and cut-outs set on other grounds.

All draws come from a ``numpy.random.Generator``, so a seed fixes the whole stream of samples.
"""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from models.segmentation.examples import WORKING_SIZE, Examples


@dataclasses.dataclass(frozen=True)
class Mix:
    """How often each kind of sample is drawn; the shares are scaled to add up to 1.

    Attributes:
      sellers: seller photos with weak or predicted labels.
      hand: photos with hand-drawn masks.
      rendered: rendered photos with exact masks, where there are any.
      composites: cut-outs on other grounds.
      empty: grounds without any product.
      light_on_light: share of the composites that are a light product on a near-white ground.
    """

    sellers: float = 0.52
    hand: float = 0.18
    rendered: float = 0.12
    composites: float = 0.25
    empty: float = 0.05
    light_on_light: float = 0.25


def _largest_empty_rectangle(occupied: np.ndarray) -> tuple[int, int, int, int]:
    """Returns top, left, height, width of the largest rectangle of zeros in a small grid."""
    rows, columns = occupied.shape
    heights = np.zeros(columns + 1, int)
    best, found = 0, (0, 0, 0, 0)
    for row in range(rows):
        heights[:columns] = np.where(occupied[row], 0, heights[:columns] + 1)
        stack: list[int] = []
        for column in range(columns + 1):
            while stack and heights[stack[-1]] >= heights[column]:
                height = heights[stack.pop()]
                left = stack[-1] + 1 if stack else 0
                if height * (column - left) > best:
                    best, found = height * (column - left), (row - height + 1, left, height, column - left)
            stack.append(column)
    return found


def empty_grounds(examples: Examples, *, least: float = 0.28) -> list[np.ndarray]:
    """Cuts the largest product-free rectangle out of each photo: real floors, beds, walls and cloths.

    Args:
      examples: photos with labels; those of no weight are passed over.
      least: smallest side worth having, as a fraction of the photo's.

    Returns:
      RGB pictures, uint8, of various shapes.
    """
    grounds, grid = [], 32
    for image, label, weight in zip(examples.images, examples.labels, examples.weights, strict=True):
        if not weight.any():
            continue
        occupied = cv2.resize(
            cv2.dilate(label, np.ones((15, 15), np.uint8)), (grid, grid), interpolation=cv2.INTER_AREA
        )
        doubted = cv2.resize(weight, (grid, grid), interpolation=cv2.INTER_AREA) < 128
        top, left, height, width = _largest_empty_rectangle((occupied > 2) | doubted)
        if min(height, width) < least * grid:
            continue
        step = image.shape[0] // grid
        grounds.append(image[top * step : (top + height) * step, left * step : (left + width) * step].copy())
    return grounds


class SampleMaker:
    """Draws training samples.

    Args:
      sellers: seller photos; examples of no weight are never drawn.
      hand: photos with hand masks.
      cut_outs: cut-outs; hand masks of photos serve as further ones.
      mix: how often each kind is drawn.
      rendered: rendered photos, or None.
    """

    def __init__(
        self,
        sellers: Examples,
        hand: Examples,
        cut_outs: Examples,
        mix: Mix | None = None,
        rendered: Examples | None = None,
    ):
        self._mix = mix = mix or Mix()
        usable = sellers.weights.reshape(len(sellers), -1).max(1) > 0
        self._sellers = sellers.take(np.flatnonzero(usable))
        self._hand = hand
        self._rendered = rendered
        self._cut_outs = cut_outs
        self._grounds = empty_grounds(self._sellers) + empty_grounds(hand)
        shares = np.array([
            mix.sellers * bool(len(self._sellers)), mix.hand * bool(len(hand)),
            mix.composites * bool(len(hand) and len(cut_outs)), mix.empty, mix.rendered * bool(rendered),
        ])  # fmt: skip
        if not shares.any():
            raise ValueError(f"nothing can be drawn: {mix} of sets that are empty or of no weight")
        self._shares = shares / shares.sum()

    def sample(self, rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draws one sample.

        Args:
          rng: source of all randomness.
          size: side of the picture in pixels.

        Returns:
          The picture, uint8 (size, size, 3) RGB; the target, float32 (size/2, size/2, 2) of label and
          weight 0..1; and whether it shows a product, float32 (1,).
        """
        kind = rng.choice(5, p=self._shares)
        if kind == 0:
            image, label, weight = self._draw(self._sellers, rng)
        elif kind == 1:
            image, label, weight = self._draw(self._hand, rng)
        elif kind == 2:
            image, label = self._composite(rng)
            weight = np.full_like(label, 255)
        elif kind == 4:
            image, label, weight = self._draw(self._rendered or self._hand, rng)
        else:
            image = self._ground(rng)
            label = np.zeros(image.shape[:2], np.uint8)
            weight = np.full_like(label, 255)
        image, label, weight = _move(image, label, weight, rng, size, gentle=kind == 3)
        image = _photograph(image, rng)
        half = (size // 2, size // 2)
        target = np.stack([cv2.resize(m, half, interpolation=cv2.INTER_AREA) for m in (label, weight)], -1)
        target = target.astype(np.float32) / 255
        present = np.array([target[..., 0].mean() > 0.005], np.float32)
        return image, target, present

    @staticmethod
    def _draw(examples: Examples, rng):
        i = rng.integers(len(examples))
        return examples.images[i], examples.labels[i], examples.weights[i]

    def _ground(self, rng) -> np.ndarray:
        """Draws a ground of the working size: a real one, a plain one or a sweep."""
        if self._grounds and rng.random() < 0.6:
            ground = self._grounds[rng.integers(len(self._grounds))]
            return cv2.resize(ground, (WORKING_SIZE, WORKING_SIZE), interpolation=cv2.INTER_CUBIC)
        colour = rng.uniform(20, 256, 3) if rng.random() < 0.5 else np.full(3, rng.uniform(90, 256))
        return _sweep(colour, rng)

    def _composite(self, rng) -> tuple[np.ndarray, np.ndarray]:
        light = rng.random() < self._mix.light_on_light
        if light:
            ground = _sweep(np.full(3, rng.uniform(215, 256)) + rng.uniform(-6, 7, 3), rng).astype(np.float32)
        else:
            ground = self._ground(rng).astype(np.float32)
        label = np.zeros(ground.shape[:2], np.float32)
        for _ in range(rng.choice([1, 2, 3], p=[0.8, 0.15, 0.05])):
            source = self._hand if rng.random() < 0.35 else self._cut_outs
            image, alpha, _ = self._draw(source, rng)
            image, alpha = _place(image, alpha, rng)
            product = image.astype(np.float32)
            if light:
                product = 255 - (255 - product) * rng.uniform(0.1, 0.4)
            ground = _shade(ground, alpha, rng)
            ground += (product - ground) * alpha[..., None]
            label = np.maximum(label, alpha)
        return np.clip(ground, 0, 255).astype(np.uint8), (label * 255).astype(np.uint8)


def _sweep(colour: np.ndarray, rng) -> np.ndarray:
    """Paints a studio sweep: a plain colour under uneven light, with a trace of texture."""
    size = WORKING_SIZE
    light = cv2.resize(rng.uniform(0.82, 1.0, (3, 3)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC)
    ground = colour.astype(np.float32) * light[..., None] / light.max()
    if rng.random() < 0.4:
        grain = rng.normal(0, rng.uniform(1, 8), (size // 2, size // 2)).astype(np.float32)
        ground += cv2.resize(grain, (size, size), interpolation=cv2.INTER_LINEAR)[..., None]
    return np.clip(ground, 0, 255).astype(np.uint8)


def _decontaminate(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Spreads the product's inner colours over its edge, so that no rim of the old ground is learnt."""
    sure = (alpha > 250).astype(np.uint8)
    sure = cv2.erode(sure, np.ones((3, 3), np.uint8)).astype(np.float32)
    total = cv2.blur(image.astype(np.float32) * sure[..., None], (9, 9))
    amount = cv2.blur(sure, (9, 9))
    spread = total / np.maximum(amount, 1e-3)[..., None]
    use = ((sure == 0) & (amount > 0.01))[..., None]
    return np.where(use, spread, image).astype(np.uint8)


def _place(image: np.ndarray, alpha: np.ndarray, rng) -> tuple[np.ndarray, np.ndarray]:
    """Moves a cut-out to a random place, size and angle; returns RGB uint8 and alpha float32 0..1."""
    size = WORKING_SIZE
    ys, xs = np.nonzero(alpha > 64)
    if not len(ys):
        return image, np.zeros(alpha.shape, np.float32)
    centre = ((xs.min() + xs.max()) / 2, (ys.min() + ys.max()) / 2)
    extent = max(np.ptp(xs), np.ptp(ys)) + 1
    scale = size * rng.uniform(0.35, 1.05) / extent
    angle = rng.normal(0, 12) if rng.random() < 0.8 else rng.uniform(-180, 180)
    turn = cv2.getRotationMatrix2D(centre, angle, scale)
    if rng.random() < 0.5:
        turn = turn @ np.array([[-1, 0, 2 * centre[0]], [0, 1, 0], [0, 0, 1]])
    turn[:, 2] += rng.normal(size / 2, size * 0.08, 2) - np.array(centre)
    image = cv2.warpAffine(
        _decontaminate(image, alpha), turn, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    alpha = cv2.warpAffine(alpha, turn, (size, size), flags=cv2.INTER_LINEAR)
    return image, alpha.astype(np.float32) / 255


def _shade(ground: np.ndarray, alpha: np.ndarray, rng) -> np.ndarray:
    """Darkens the ground by a contact shadow and perhaps a cast one; both stay ground in the label."""
    if rng.random() < 0.15:
        return ground
    shadow = cv2.GaussianBlur(alpha, (0, 0), rng.uniform(1.5, 5)) * rng.uniform(0.1, 0.5)
    if rng.random() < 0.5:
        shift = np.array([[1, 0, rng.normal(0, 12)], [0, 1, rng.normal(4, 10)]])
        cast = cv2.warpAffine(alpha, shift, alpha.shape[::-1])
        shadow = np.maximum(shadow, cv2.GaussianBlur(cast, (0, 0), rng.uniform(3, 14)) * rng.uniform(0.1, 0.5))
    return ground * (1 - shadow[..., None])


def _move(image, label, weight, rng, size: int, *, gentle: bool):
    """Turns, scales, stretches, shifts and mirrors picture and label alike, into the wanted size."""
    side = image.shape[0]
    factor = size / side
    scale = factor * (rng.uniform(1.0, 1.6) if gentle else np.exp(rng.normal(0.05, 0.17)))
    stretch = np.exp(rng.normal(0, 0.10))
    angle = rng.normal(0, 7) if rng.random() < 0.85 else rng.choice([90, 180, 270]) + rng.normal(0, 7)
    angle = 0.0 if gentle else angle
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), angle, 1.0)
    turn = np.diag([scale * stretch, scale / stretch]) @ turn
    if rng.random() < 0.5:
        turn = np.diag([-1.0, 1.0]) @ turn
    middle = turn @ np.array([side / 2, side / 2, 1])
    shift = 0 if gentle else rng.normal(0, 0.05 * size, 2)
    turn[:, 2] += size / 2 - middle + shift
    # what lies outside the photo is not known: picture and label are mirrored together
    border = cv2.BORDER_REFLECT_101
    if factor < 0.75:  # average before sampling, or fine cloth turns to moiré
        image = cv2.GaussianBlur(image, (0, 0), 0.35 / factor)
    image = cv2.warpAffine(image, turn, (size, size), flags=cv2.INTER_LINEAR, borderMode=border)
    label = cv2.warpAffine(label, turn, (size, size), flags=cv2.INTER_LINEAR, borderMode=border)
    weight = cv2.warpAffine(weight, turn, (size, size), flags=cv2.INTER_LINEAR, borderMode=border)
    return image, label, weight


def _photograph(image: np.ndarray, rng) -> np.ndarray:
    """Varies exposure, contrast, white balance, saturation, focus, noise and compression."""
    levels = np.arange(256, dtype=np.float32) / 255
    gains = np.exp(rng.normal(0, 0.06, 3) + rng.normal(-0.06, 0.13))
    gamma = np.exp(rng.normal(0, 0.18))
    contrast = np.exp(rng.normal(0, 0.12))
    curves = [np.clip(((levels**gamma - 0.5) * contrast + 0.5) * gain * 255, 0, 255) for gain in gains]
    image = cv2.LUT(image, np.stack(curves, -1)[None].astype(np.uint8))
    if rng.random() < 0.3:
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        image = cv2.addWeighted(image, keep := rng.uniform(0.1, 1.5), grey, 1 - keep, 0)
    if rng.random() < 0.06:
        image = np.ascontiguousarray(image[..., rng.permutation(3)])
    if rng.random() < 0.15:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.6))
    if rng.random() < 0.25:
        noise = rng.integers(-128, 128, (*image.shape[:2], 3), dtype=np.int8)
        image = np.clip(image + noise * rng.uniform(0.01, 0.12), 0, 255).astype(np.uint8)
    if rng.random() < 0.25:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 90))]
        image = np.asarray(cv2.imdecode(cv2.imencode(".jpg", image, quality)[1], cv2.IMREAD_COLOR))
    return image
