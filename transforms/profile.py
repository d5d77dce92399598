"""What a marketplace asks of a packshot: canvas, ground, fill, format and byte limits, in one checked value."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any

FORMATS = ("jpeg", "png")
CHROMAS = ("4:4:4", "4:2:0")
SHADOWS = ("none", "contact", "drop", "kept")
SIDES = ("top", "right", "bottom", "left")
LARGEST_SIDE = 10_000
# Below this the step of a JPEG's mean value is so coarse that a plain grey or white ground may decode one
# level off; from here on every neutral ground decodes to exactly its value wherever no product is near.
LOWEST_QUALITY = 74


@dataclasses.dataclass(frozen=True)
class Profile:
    """The look and the limits of one kind of packshot; immutable, hashable and checked when made.

    Attributes:
      name: how users call it.
      width, height: the canvas in pixels, 16 to 10,000 a side.
      background: the ground as 8-bit sRGB. A JPEG keeps a neutral ground exactly; a tinted one may decode a
        level or two off, because JPEG does not store RGB: take ``png`` where that matters.
      gradient: colour of the canvas' lower edge, to which the ground runs from ``background`` at its upper one; None
        for a ground of one colour.
      backdrop: an encoded picture that fills the canvas in place of a colour, or None; in a YAML file its path.
      shadow: ``none``; ``contact``, drawn under the product's foot; ``drop``, drawn beside a product that lies; or
        ``kept``, the photo's own where its ground is plain enough to tell.
      fill: fraction of the canvas that the product takes along its limiting side, in (0, 1]: its bounding box
        fits into ``fill * width`` by ``fill * height`` and touches one of the two limits.
      margins: top, right, bottom, left; fractions of the canvas' height (top, bottom) or width (left, right)
        that stay free. The product is centred in what remains. A side where the photo's frame cuts the
        product
        has no margin: the cut lies on the canvas' edge.
      format: ``jpeg`` or ``png``.
      quality: JPEG quality that is aimed at, 74 to 100.
      min_quality: lowest quality to which ``max_bytes`` may push it, 74 to ``quality``.
      chroma: ``4:4:4`` keeps the colour of red and blue edges from bleeding into the ground (at quality 95 it
        halves the number of ground pixels that are touched); ``4:2:0`` saves about a fifth of the bytes.
      min_bytes, max_bytes: limits of the file's size, both inclusive, or None.
      max_upscale: output pixels a source pixel may be stretched to, along a side, before the photo is
        sent to review as too small.
      embed_srgb: whether the file carries an sRGB ICC profile (JPEG) or an sRGB chunk (PNG).
    """

    name: str
    width: int
    height: int
    background: tuple[int, int, int] = (255, 255, 255)
    gradient: tuple[int, int, int] | None = None
    backdrop: bytes | None = dataclasses.field(default=None, repr=False)
    shadow: str = "none"
    fill: float = 0.85
    margins: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    format: str = "jpeg"
    quality: int = 95
    min_quality: int = 75
    chroma: str = "4:4:4"
    min_bytes: int | None = None
    max_bytes: int | None = None
    max_upscale: float = 2.0
    embed_srgb: bool = True

    def __post_init__(self):
        if not isinstance(self.name, str) or not self.name:
            raise self._wrong("name", "a text that is not empty")
        for side in ("width", "height"):
            self._check_integer(side, 16, LARGEST_SIDE, "pixels")
        if not _is_colour(self.background):
            raise self._wrong("background", "three whole numbers from 0 to 255 for red, green and blue")
        if self.gradient is not None and not _is_colour(self.gradient):
            raise self._wrong("gradient", "three whole numbers from 0 to 255 for red, green and blue")
        if self.backdrop is not None and not isinstance(self.backdrop, bytes):
            raise self._wrong("backdrop", "the path of a picture")
        if self.gradient is not None and self.backdrop is not None:
            raise ValueError("gradient and backdrop are both given; a ground is one or the other")
        if self.shadow not in SHADOWS:
            raise self._wrong("shadow", f"one of {', '.join(SHADOWS)}")
        self._check_fraction("fill", 0.05, 1.0)
        if not (
            isinstance(self.margins, tuple)
            and len(self.margins) == 4
            and all(_is_number(margin) and 0 <= margin < 1 for margin in self.margins)
        ):
            raise self._wrong("margins", "one fraction from 0 to below 1, or one for each of top, right, bottom, left")
        top, right, bottom, left = self.margins
        if top + bottom > 0.9 or left + right > 0.9:
            raise self._wrong("margins", "margins that leave at least a tenth of the canvas each way")
        if self.format not in FORMATS:
            raise self._wrong("format", f"one of {', '.join(FORMATS)}")
        self._check_integer("quality", LOWEST_QUALITY, 100)
        self._check_integer("min_quality", LOWEST_QUALITY, self.quality)
        if self.chroma not in CHROMAS:
            raise self._wrong("chroma", f"one of {', '.join(CHROMAS)}, in quotes")
        for limit in ("min_bytes", "max_bytes"):
            if getattr(self, limit) is not None:
                self._check_integer(limit, 1, 2**40, "bytes")
        if self.min_bytes is not None and self.max_bytes is not None and self.min_bytes > self.max_bytes:
            raise self._wrong("min_bytes", f"at most max_bytes, which is {self.max_bytes}")
        if not _is_number(self.max_upscale) or not 0.1 <= self.max_upscale <= 100:
            raise self._wrong("max_upscale", "a number from 0.1 to 100")
        if not isinstance(self.embed_srgb, bool):
            raise self._wrong("embed_srgb", "true or false")

    @property
    def has_plain_ground(self) -> bool:
        """Whether the ground is the colour ``background`` and nothing else."""
        return self.gradient is None and self.backdrop is None and self.shadow == "none"

    @property
    def media_type(self) -> str:
        """The packshot's media type."""
        return f"image/{self.format}"

    @property
    def extension(self) -> str:
        """The packshot file's extension, without the dot."""
        return {"jpeg": "jpg", "png": "png"}[self.format]

    @property
    def product_box(self) -> tuple[float, float]:
        """Width and height in pixels that an uncut product must fit into."""
        top, right, bottom, left = self.margins
        return (
            self.width * min(self.fill, 1 - left - right),
            self.height * min(self.fill, 1 - top - bottom),
        )

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], where: str) -> Profile:
        """Makes a profile of what a YAML file says.

        Args:
          mapping: keys are the attributes' names. ``background`` may be three numbers or ``"#rrggbb"``,
            ``margins`` one number, a list of four or a mapping of sides.
          where: the file, for error messages.

        Returns:
          The profile; keys that are missing have the default values.

        Raises:
          ValueError: an unknown key, a missing one, or a value that cannot be; one sentence names file, key
            and value.
        """
        if not isinstance(mapping, Mapping):
            raise ValueError(
                f"{where}: a profile is a list of 'key: value' lines, not {type(mapping).__name__} {mapping!r}"
            )
        fields = {field.name: field for field in dataclasses.fields(cls)}
        for key, value in mapping.items():
            if key not in fields:
                near = difflib.get_close_matches(str(key), fields, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(fields)}"
                raise ValueError(f"{where}: unknown key {key!r} (value {value!r}); {hint}")
        for name, field in fields.items():
            if field.default is dataclasses.MISSING and name not in mapping:
                raise ValueError(f"{where}: key {name!r} is missing; give it a value, for example '{name}: 1000'")
        values = dict(mapping)
        for key in ("background", "gradient"):
            if key in values:
                values[key] = parse_colour(values[key])
        if "margins" in values:
            values["margins"] = _margins(values["margins"], where)
        try:
            return cls(**values)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from None

    def _wrong(self, key: str, right: str) -> ValueError:
        return ValueError(f"{key} is {getattr(self, key)!r}; it has to be {right}")

    def _check_integer(self, key: str, low: int, high: int, unit: str = ""):
        value = getattr(self, key)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self._wrong(key, f"a whole number from {low} to {high} {unit}".rstrip())

    def _check_fraction(self, key: str, low: float, high: float):
        value = getattr(self, key)
        if not _is_number(value) or not low <= value <= high:
            raise self._wrong(key, f"a fraction from {low} to {high}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_colour(value: Any) -> bool:
    return (
        isinstance(value, tuple)
        and len(value) == 3
        and all(isinstance(v, int) and not isinstance(v, bool) and 0 <= v <= 255 for v in value)
    )


def parse_colour(value: Any) -> Any:
    """Turns ``"#f5f5f5"`` or ``[245, 245, 245]`` into a tuple; what is neither is left for the check to name."""
    if isinstance(value, str) and len(value) == 7 and value.startswith("#"):
        try:
            return tuple(bytes.fromhex(value[1:]))
        except ValueError:
            return value
    return tuple(value) if isinstance(value, list) else value


def _margins(value: Any, where: str) -> Any:
    """Turns ``0.05``, ``[0.1, 0, 0.02, 0]`` or ``{top: 0.1, bottom: 0.02}`` into a number for each of ``SIDES``."""
    if isinstance(value, Mapping):
        for side in value:
            if side not in SIDES:
                raise ValueError(f"{where}: margins names the side {side!r}; the sides are {', '.join(SIDES)}")
        return tuple(value.get(side, 0.0) for side in SIDES)
    if _is_number(value):
        return (value,) * 4
    return tuple(value) if isinstance(value, list) else value
