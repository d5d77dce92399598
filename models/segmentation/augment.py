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
      tone_on_tone: share of the other composites whose ground is brought near the product's own colour.
      seam: share of the grounds that are two, meeting in a line: floor and wall, bed and floor.
    """

    sellers: float = 0.38
    hand: float = 0.20
    rendered: float = 0.07
    composites: float = 0.30
    empty: float = 0.08
    light_on_light: float = 0.2
    tone_on_tone: float = 0.25
    seam: float = 0.15


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


def whole_products(examples: Examples, *, sure: float = 0.97) -> np.ndarray:
    """Finds the labelled photos whose product can be cut out and set elsewhere.

    Args:
      examples: photos with labels.
      sure: least mean weight, 0..1, over the frame.

    Returns:
      int indices of the photos whose label is trusted, neither tiny nor huge, and not cut by the frame.
    """
    found = []
    for i, (label, weight) in enumerate(zip(examples.labels, examples.weights, strict=True)):
        rim = np.concatenate([label[0], label[-1], label[:, 0], label[:, -1]]) > 64
        if rim.mean() < 0.01 and weight.mean() > sure * 255 and 0.06 < (label > 127).mean() < 0.75:
            found.append(i)
    return np.array(found, int)


class SampleMaker:
    """Draws training samples.

    Args:
      sellers: seller photos; examples of no weight are never drawn.
      hand: photos with hand masks.
      cut_outs: cut-outs; whole products of the hand masks and of the trusted seller photos serve as further ones.
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
        usable = sellers.trusted
        self._sellers = sellers.take(np.flatnonzero(usable))
        self._hand = hand
        self._rendered = rendered
        pools = [
            (cut_outs, np.arange(len(cut_outs)), 0.4),
            (hand, whole_products(hand, sure=0.9), 0.25),
            (self._sellers, whole_products(self._sellers), 0.25),
        ]
        if rendered is not None:
            pools.append((rendered, whole_products(rendered), 0.1))
        self._pools = [
            (examples, whole, _evened(examples.groups[whole]), share) for examples, whole, share in pools if len(whole)
        ]
        self._grounds = empty_grounds(self._sellers) + empty_grounds(hand)
        shares = np.array([
            mix.sellers * bool(len(self._sellers)), mix.hand * bool(len(hand)),
            mix.composites * bool(self._pools), mix.empty, mix.rendered * bool(rendered),
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
            image = self._nothing(rng)
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
        """Draws a ground of the working size, or two that meet: real ones, plain ones, sweeps."""
        ground = self._one_ground(rng)
        if rng.random() >= self._mix.seam:
            return ground
        side = cv2.GaussianBlur(_half_plane(rng), (0, 0), rng.uniform(0.5, 3))[..., None]
        return (ground + (self._one_ground(rng).astype(np.float32) - ground) * side).astype(np.uint8)

    def _one_ground(self, rng) -> np.ndarray:
        if self._grounds and rng.random() < 0.65:
            return _fill_frame(self._grounds[rng.integers(len(self._grounds))], rng)
        colour = rng.uniform(20, 256, 3) if rng.random() < 0.5 else np.full(3, rng.uniform(90, 256))
        return _sweep(colour, rng)

    def _nothing(self, rng) -> np.ndarray:
        """Draws a ground without a product, at times with the shadow of one that is not in the frame."""
        ground = self._ground(rng)
        if rng.random() < 0.3 and self._pools:
            _, alpha = _place(*self._product(rng), rng)
            shadow = cv2.GaussianBlur(alpha, (0, 0), rng.uniform(4, 16)) * rng.uniform(0.1, 0.5)
            ground = (ground * (1 - shadow[..., None])).astype(np.uint8)
        return ground

    def _product(self, rng) -> tuple[np.ndarray, np.ndarray]:
        """Draws a product that is whole in its photo; returns RGB uint8 and alpha uint8."""
        shares = np.array([pool[-1] for pool in self._pools])
        examples, whole, chances, _ = self._pools[rng.choice(len(self._pools), p=shares / shares.sum())]
        i = rng.choice(whole, p=chances)
        return examples.images[i], examples.labels[i]

    def _composite(self, rng) -> tuple[np.ndarray, np.ndarray]:
        light = rng.random() < self._mix.light_on_light
        alike = rng.random() < self._mix.tone_on_tone
        if light:
            ground = _sweep(np.full(3, rng.uniform(215, 256)) + rng.uniform(-6, 7, 3), rng).astype(np.float32)
        else:
            ground = self._ground(rng).astype(np.float32)
        label = np.zeros(ground.shape[:2], np.float32)
        for number in range(rng.choice([1, 2, 3], p=[0.8, 0.15, 0.05])):
            image, alpha = _place(*self._product(rng), rng)
            product = image.astype(np.float32)
            if light:
                product = 255 - (255 - product) * rng.uniform(0.1, 0.4)
            elif alike and number == 0 and alpha.max() > 0.5:
                mean = product[alpha > 0.5].mean(0)
                ground = np.clip(ground + (mean - ground.mean((0, 1))) * rng.uniform(0.6, 1.0), 0, 255)
            ground = _shade(ground, alpha, rng)
            ground += (product - ground) * alpha[..., None]
            label = np.maximum(label, alpha)
        return np.clip(ground, 0, 255).astype(np.uint8), (label * 255).astype(np.uint8)


def _evened(groups: np.ndarray) -> np.ndarray:
    """Returns chances that draw a group by the root of its size, so that one source does not drown the others."""
    _, where, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    chances = 1 / np.sqrt(sizes[where])
    return chances / chances.sum()


def _half_plane(rng) -> np.ndarray:
    """Draws one side of a line through the frame; float32 0 or 1."""
    size = WORKING_SIZE
    angle = rng.normal(np.pi / 2, 0.15) if rng.random() < 0.6 else rng.uniform(0, np.pi)
    offset = rng.uniform(-0.35, 0.35) * size
    ys, xs = np.mgrid[:size, :size] - size / 2
    return (xs * np.cos(angle) + ys * np.sin(angle) > offset).astype(np.float32)


def _fill_frame(ground: np.ndarray, rng) -> np.ndarray:
    """Makes a product-free crop fill the frame: enlarged, or mirrored on at its own scale."""
    size = WORKING_SIZE
    if rng.random() < 0.5:
        return cv2.resize(ground, (size, size), interpolation=cv2.INTER_CUBIC)
    # at its own scale, for the pattern of a cloth is as fine as a garment's only there
    scale = rng.uniform(1.0, 1.5)
    ground = cv2.resize(ground, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)[:size, :size]
    below, beside = size - ground.shape[0], size - ground.shape[1]
    top, left = rng.integers(below + 1), rng.integers(beside + 1)
    return cv2.copyMakeBorder(ground, top, below - top, left, beside - left, cv2.BORDER_REFLECT_101)


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
