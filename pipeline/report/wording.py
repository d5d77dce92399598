"""The report's words: what codes mean to people, and numbers and texts as they are shown."""

from __future__ import annotations

import datetime
import unicodedata
from typing import Any

from markupsafe import Markup

from pipeline.report import selection

MOST_SIGNS = 160  # of a text; an id or a message can be of any length
MOST_SIGNS_LONG = 400

_JOINERS = "\u200c\u200d"  # belong to the writing of some languages, and to emoji
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))  # Unicode categories

REVIEW_TEXT = {
    "no_product": "No product was found; the packshot shows the whole photo",
    "low_presence": "The model is not sure that there is a product",
    "cut_by_frame": "The product runs out of the photo",
    "low_resolution": "Enlarged by more than the profile allows",
    "small_product": "The product covers next to nothing of the photo",
    "uncertain_mask": "Much of the mask is neither product nor ground",
    "byte_limit": "No quality setting meets the profile's byte limits",
    "several_products": "Several products that are no pair",
    "too_blurred": "Nothing on the product is sharp",
    "over_exposed": "Much of the product is burnt out",
    "under_exposed": "The photo is too dark",
    "unusual_product": "The product looks unlike those that the anomaly model knows",
    "unlike_its_category": "The product looks unlike others of its category",
    "wrong_format": "The packshot is not of the profile's format",
    "wrong_size": "The packshot has not the profile's size",
    "wrong_colour_space": "The packshot does not say that it is sRGB",
    "wrong_ground": "The packshot's ground is not the profile's background",
    "wrong_fill": "The product takes too much or too little of the packshot",
}
REJECT_TEXT = {
    "empty": "No bytes, or a null image",
    "not_an_image": "The bytes are of no image format",
    "unsupported_format": "An image, but of a format that is not read",
    "truncated": "The file ends before its pixels do",
    "corrupt": "A damaged file",
    "too_large": "Over the limit of pixels or bytes",
    "too_small": "Too few pixels to make anything of",
    "fetch_failed": "The URI could not be read",
    "not_found": "The URI names nothing",
    "segmentation_failed": "The model failed on this photo alone",
    "write_failed": "A file could not be stored or did not verify",
    "training_only": "No photo, but a product generated for training",
    "internal": "An error of Packshot's own; please report it",
}
STRATUM_TEXT = {
    selection.REVIEW: ("To review", "Photos with a review reason, one of each reason in turn, rare reasons first."),
    selection.WORST_PRESENCE: ("Least sure of a product", "Lowest presence in the run."),
    selection.COLOUR_SHIFTED: (
        "Most colour-shifted",
        "Products whose colour was moved most.",
    ),
    selection.SMALLEST: ("Smallest products", "Lowest coverage of the frame."),
    selection.LARGEST: ("Largest products", "Highest coverage of the frame; also where ground was taken for product."),
    selection.BEST_PRESENCE: ("Most sure of a product", "Highest presence in the run."),
    selection.CATEGORY: ("By {category}", "One of each value in turn."),
    selection.RANDOM: ("At random", "Drawn by content hash: the same photos every time."),
}
SAMPLE_TEXT = {
    "variant": ("Variants", "Photos varied by classical operations."),
    "backdrop": ("Backdrops", "Real products, their pixels unchanged, on generated grounds."),
    "product": ("Generated products", "Made by a network, for training only: none of them is a photo of anything."),
    "refused": ("Refused", "Generated products that did not pass the gate; they are in no dataset."),
}
SAMPLE_REFUSED_TEXT = {
    **REJECT_TEXT,
    "low_score": "The discriminator likes it least of the generator's own",
    "other_category": "The classifier does not see the category that was asked for",
    "memorised": "Nearer to a training photo than unseen photos are",
    "off_manifold": "Further from every training photo than photos are",
    "generation_failed": "The generator failed",
    "not_enabled": "No gain was proved for these categories, so none were generated",
    "unknown_to_generator": "The generator does not know these categories",
}
PICTURE_TEXT = {"source": "Before", "mask": "Mask", "packshot": "After", "cutout": "Cut-out"}
MOVE_TEXT = {
    ("ready", "review"): "Ready before, now to review",
    ("ready", "rejected"): "Ready before, now rejected",
    ("review", "rejected"): "To review before, now rejected",
    ("review", "ready"): "To review before, now ready",
    ("rejected", "ready"): "Rejected before, now ready",
    ("rejected", "review"): "Rejected before, now to review",
    ("absent", "ready"): "New in the input, ready",
    ("absent", "review"): "New in the input, to review",
    ("absent", "rejected"): "New in the input, rejected",
    ("ready", "absent"): "No longer in the input, was ready",
    ("review", "absent"): "No longer in the input, was to review",
    ("rejected", "absent"): "No longer in the input, was rejected",
}


def visible(value: Any) -> Any:
    """Returns a text with its control, bidirectional and unpaired characters spelt out; markup stays as it is.

    An id with a line break, or one that turns the text's direction around it, can so be told from one without.
    """
    if isinstance(value, Markup) or not isinstance(value, str) or value.isprintable():
        return value
    return "".join(
        f"\\u{ord(sign):04x}" if unicodedata.category(sign) in _UNSEEN and sign not in _JOINERS else sign
        for sign in value
    )


def shorten(text: str, most: int = MOST_SIGNS) -> str:
    """Returns a text with its middle left out where it is long: both ends of an id or URI tell something."""
    if len(text) <= most:
        return text
    end = most // 3
    return f"{text[: most - end - 1]}…{text[-end:]}"


def percent(fraction: float) -> str:
    """Returns a fraction in per cent, with a decimal where it matters, never rounded to all or nothing."""
    if fraction != fraction:
        return "–"
    if 0 < fraction < 0.001:
        return "<0.1 %"
    if 0.999 < fraction < 1:
        return ">99.9 %"
    return f"{100 * fraction:.1f}".removesuffix(".0") + " %"


def delta_e(value: float) -> str:
    """Returns a colour difference."""
    return "–" if value != value else f"{value:.1f} ΔE"


def duration(seconds: float | None) -> str:
    """Returns a time in the two largest units that it has."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def period(started: str | None, ended: str | None) -> str:
    """Returns when a run took place, from ISO 8601 times: ``3 February 2026, 02:00 to 02:14 UTC``."""
    try:
        first, last = (
            datetime.datetime.fromisoformat(text or "").astimezone(datetime.UTC) for text in (started, ended)
        )
    except ValueError:
        return " to ".join(text for text in (started, ended) if text)
    day = f"{first.day} {first:%B %Y}"
    other = "" if first.date() == last.date() else f"{last.day} {last:%B %Y}, "
    return f"{day}, {first:%H:%M} to {other}{last:%H:%M} UTC"


def size(count: int) -> str:
    """Returns a file's size."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{max(1, round(count / 1e3))} kB"


def spoken(value: Any) -> str:
    """Returns a setting as people write it."""
    if value is None or value == "" or value == []:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return shorten(", ".join(str(part) for part in value[:100]), MOST_SIGNS_LONG)
    return shorten(str(value), MOST_SIGNS_LONG)
