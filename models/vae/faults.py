"""Faults put into cut-outs on purpose: what an anomaly score should notice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

Picture = tuple[np.ndarray, np.ndarray]  # uint8 (h, w, 3) RGB and its matte, uint8 (h, w)
Fault = Callable[[Picture, Picture, np.random.Generator], Picture]

_TEXTS = ("SALE", "SAMPLE", "SHOP.COM", "NEW IN", "-50%", "COPYRIGHT", "BEST PRICE", "ORIGINAL")
_SOLID = 128


def _box(alpha: np.ndarray) -> tuple[int, int, int, int]:
    x, y, width, height = cv2.boundingRect((alpha >= _SOLID).view(np.uint8))
    return x, y, max(1, width), max(1, height)


def _text(rng: np.random.Generator, height: float, colour: int) -> np.ndarray:
    """Returns a line of text as RGBA with letters of so many pixels."""
    text, font = str(rng.choice(_TEXTS)), cv2.FONT_HERSHEY_DUPLEX
    scale = height / 22  # this font's capitals are 22 pixels tall at scale 1
    thick = max(1, round(2.2 * scale))
    (width, tall), below = cv2.getTextSize(text, font, scale, thick)
    patch = np.zeros((tall + below + 2 * thick, width + 2 * thick), np.uint8)
    cv2.putText(patch, text, (thick, tall + thick), font, scale, 255, thick, cv2.LINE_AA)
    return np.dstack([np.full((*patch.shape, 3), colour, np.uint8), patch])


def _laid_over(image: np.ndarray, opacity: np.ndarray, colour: np.ndarray | int) -> np.ndarray:
    share = opacity.astype(np.float32)[..., None] / 255
    return np.clip(image * (1 - share) + np.float32(colour) * share + 0.5, 0, 255).astype(np.uint8)


def watermark(picture: Picture, _: Picture, rng: np.random.Generator) -> Picture:
    """Repeats a half-transparent slanting text over the whole photo, its letters a tenth of the product tall."""
    image, alpha = picture
    height, width = alpha.shape
    letters = max(_box(alpha)[2:]) * rng.uniform(0.07, 0.12)
    colour = int(rng.choice([255, 255, 0]))
    stamp = _text(rng, letters, colour)[..., 3]
    stamp = np.pad(stamp, ((int(letters), int(letters)), (0, int(1.5 * letters))))
    reach = int(np.hypot(height, width)) + 1
    sheet = np.tile(stamp, (-(-reach // stamp.shape[0]), -(-reach // stamp.shape[1])))[:reach, :reach]
    turn = cv2.getRotationMatrix2D((reach / 2, reach / 2), float(rng.choice([-1, 1]) * rng.uniform(15, 40)), 1.0)
    sheet = cv2.warpAffine(sheet, turn, (reach, reach))
    top, left = (reach - height) // 2, (reach - width) // 2
    over = sheet[top : top + height, left : left + width] * rng.uniform(0.4, 0.75)
    return _laid_over(image, over, colour), alpha


def label(picture: Picture, _: Picture, rng: np.random.Generator) -> Picture:
    """Sets an opaque price tag with text on the product, two thirds as wide as it."""
    image, alpha = picture
    x, y, width, height = _box(alpha)
    tag = _text(rng, 40, int(rng.choice([255, 0])))
    wide = max(8, int(width * rng.uniform(0.5, 0.8)))
    tall = max(4, int(wide * tag.shape[0] / tag.shape[1]))
    tag = cv2.resize(tag, (wide, tall), interpolation=cv2.INTER_AREA)
    left = int(x + rng.uniform(0, 1) * (width - wide))
    top = int(y + rng.uniform(0.1, 0.9) * max(1, height - tall))
    place = np.s_[max(0, top) : top + tall, max(0, left) : left + wide]
    ground = np.array(rng.choice([(220, 20, 30), (255, 210, 0), (250, 250, 250), (20, 20, 20)]), np.uint8)
    image = image.copy()
    under = np.full_like(image[place], ground)
    tag = tag[: under.shape[0], : under.shape[1]]
    image[place] = _laid_over(under, tag[..., 3], int(255 - ground.mean()) // 128 * 255)
    return image, alpha


def truncated(picture: Picture, _: Picture, rng: np.random.Generator) -> Picture:
    """Cuts a quarter to a half of the product off, at one side."""
    image, alpha = picture
    x, y, width, height = _box(alpha)
    lost = rng.uniform(0.25, 0.5)
    side = int(rng.integers(4))
    part: Any
    if side == 0:
        part = np.s_[:, : max(4, int(x + width * (1 - lost)))]
    elif side == 1:
        part = np.s_[:, min(int(x + width * lost), image.shape[1] - 4) :]
    elif side == 2:
        part = np.s_[: max(4, int(y + height * (1 - lost)))]
    else:
        part = np.s_[min(int(y + height * lost), image.shape[0] - 4) :]
    return image[part], alpha[part]


def detail(picture: Picture, _: Picture, rng: np.random.Generator) -> Picture:
    """Shows a detail: a window of 35 to 50 % of the product's sides, near its middle."""
    image, alpha = picture
    x, y, width, height = _box(alpha)
    share = rng.uniform(0.35, 0.5)
    wide, tall = max(8, int(width * share)), max(8, int(height * share))
    left = int(x + (width - wide) * rng.uniform(0.25, 0.75))
    top = int(y + (height - tall) * rng.uniform(0.25, 0.75))
    part = np.s_[max(0, top) : top + tall, max(0, left) : left + wide]
    return image[part], alpha[part]


def noisy(picture: Picture, _: Picture, rng: np.random.Generator) -> Picture:
    """Adds the coarse colour noise of a phone in the dark: 25 to 40 levels, grains of a hundredth of the product."""
    image, alpha = picture
    size = max(1.0, max(_box(alpha)[2:]) / 100)
    coarse = (max(2, round(image.shape[0] / size)), max(2, round(image.shape[1] / size)))
    grain: np.ndarray = rng.normal(0, rng.uniform(25, 40), (*coarse, 3)).astype(np.float32)
    grain = cv2.resize(grain, image.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    return np.clip(image + grain + 0.5, 0, 255).astype(np.uint8), alpha


def colour_cast(picture: Picture, _: Picture, rng: np.random.Generator) -> Picture:
    """Tints the photo: gains for red and blue that are apart by a factor of two to three."""
    image, alpha = picture
    tilt = 2.0 ** (rng.choice([-1, 1]) * rng.uniform(0.5, 0.8))
    gains = np.array([tilt, 2.0 ** rng.uniform(-0.15, 0.15), 1 / tilt], np.float32)
    return np.clip(image * gains + 0.5, 0, 255).astype(np.uint8), alpha


def two_products(picture: Picture, other: Picture, rng: np.random.Generator) -> Picture:
    """Puts another product beside, or above, as a collage does; both mattes are kept."""
    first, second = (tuple(plane[_cut(p[1])] for plane in p) for p in (picture, other))
    if rng.random() < 0.5:
        height = first[1].shape[0]
        width = max(4, round(second[1].shape[1] * height / second[1].shape[0]))
        second = tuple(cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA) for plane in second)
        return np.hstack([first[0], second[0]]), np.hstack([first[1], second[1]])
    width = first[1].shape[1]
    height = max(4, round(second[1].shape[0] * width / second[1].shape[1]))
    second = tuple(cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA) for plane in second)
    return np.vstack([first[0], second[0]]), np.vstack([first[1], second[1]])


def _cut(alpha: np.ndarray) -> tuple[slice, slice]:
    x, y, width, height = _box(alpha)
    return slice(y, y + height), slice(x, x + width)


FAULTS: dict[str, Fault] = {
    "watermark": watermark,
    "price tag": label,
    "truncation": truncated,
    "detail shot": detail,
    "noise": noisy,
    "colour cast": colour_cast,
    "two products": two_products,
}
