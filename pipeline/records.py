"""The elements that flow through the job, and the schemas of the tables they end in."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from models.gating import Scores
from models.handlers.occupancy import Share
from transforms.enlarge import Enlarged
from transforms.perceptual_hash import PerceptualHash
from transforms.quality import Measurements
from transforms.reasons import RejectReason, ReviewReason

Refresh = Literal["new", "changed", "unchanged", "duplicate"]


@dataclasses.dataclass(frozen=True)
class Asset:
    """A stored file.

    Attributes:
      kind: ``packshot``, ``mask``, ``cutout`` or ``augmented``.
      uri: path below the output folder, with forward slashes.
      width, height: pixels.
      bytes: size of the file.
      sha256: of the file's bytes, 64 hexadecimal digits.
      media_type: for example ``image/jpeg``.
    """

    kind: str
    uri: str
    width: int
    height: int
    bytes: int
    sha256: str
    media_type: str


@dataclasses.dataclass(frozen=True)
class Encoded:
    """An asset's bytes on the way to storage; the fields are those of ``Asset``.

    Attributes:
      source_type: the IPTC Digital Source Type that the file says it is.
    """

    kind: str
    content: bytes
    width: int
    height: int
    media_type: str
    extension: str
    source_type: str = ""


@dataclasses.dataclass(frozen=True)
class Rejection:
    """A photo of which no picture was made; a row of the rejections table."""

    id: str
    source_uri: str
    source_sha256: str | None
    stage: str
    reason: str
    detail: str
    leads: bool = False  # as of the photo; no column


@dataclasses.dataclass(frozen=True)
class KnownPhoto:
    """What the last committed run knows of a photo.

    Attributes:
      part: the file of its catalogue that has the photo's row, as a path below the output folder.
      position: of the row in that file.
      source_uri, source_sha256, source_version: as in that row.
      current: whether its pictures were made with the present configuration and model and are all there.
      category: its category, where pictures depend on it; else None.
    """

    part: str
    position: int
    source_uri: str
    source_sha256: str
    source_version: str | None
    current: bool
    category: str | None = None


@dataclasses.dataclass(frozen=True)
class Photo:
    """One catalogue photo on its way through the job; every stage adds fields.

    Attributes:
      id: the catalogue's id, unique in a run.
      source_uri: where the photo is: a file's path or URI, or ``FILE.parquet#ROW``.
      attributes: the attribute columns, unchanged, by name.
      known: what the last committed run knows of this id, or None.
      leader: the id of a photo of the same bytes whose row this one takes over, or None.
      leads: whether other photos take over the row of this one.
      content: the encoded photo; dropped after it was decoded.
      source_version: what its storage says that changes with the file: see ``pipeline.sources.filesystem``.
      source_sha256: of ``content``, 64 hexadecimal digits.
      refresh: what the last committed run knew of it.
      width, height: the source frame's pixels, EXIF orientation applied.
      image: working pixels, sRGB, uint8 (h, w, 3), RGB; h, w may be a fraction of the source frame.
      source_alpha: the file's own alpha at working size, uint8 (h, w), or None where it had none.
      perceptual: what the frame looks like, in few bits; see ``transforms.perceptual_hash``.
      coarse_mask: the network's mask of the whole frame, uint8 0..255 (s, s).
      presence: 0..1, how sure the model is that there is a product.
      alpha: the matte at working size, uint8 0..255 (h, w).
      foreground: product colours without the old ground's, uint8 (h, w, 3), RGB.
      coverage: fraction of the frame under the matte, 0..1.
      bbox: x, y, width, height of the product in source pixels, or None without a product.
      touches_edge: whether the product is cut by the frame.
      background_gain: applied gains for R, G, B in linear light; (1, 1, 1) for none.
      colour_shift: mean CIEDE2000 that normalisation moved the product.
      colour_method: where the gains came from, of ``transforms.normalise.Method``.
      colour_abstention: why there are no gains, of ``transforms.normalise.Abstention``, or None where there are.
      enhancements: what was mended or added, in order: ``blur_faces``, of ``transforms.enhance.STEPS``,
        ``superres``, ``shadow``, ``straighten``.
      review_reasons: why a person should look, in the order found.
      source_type: what the file itself says it is (IPTC Digital Source Type), or None where it says nothing.
      source_credentials: whether the file carried a C2PA manifest.
      digital_source_type: what its assets are labelled as; see ``pipeline.provenance``.
      enlarged: the product at twice the working size, where that is too small for the canvas; dropped once composed.
      packshot: the composed canvas, sRGB, uint8 (H, W, 3), RGB; dropped after it was encoded.
      packshot_alpha: the product's matte on that canvas, uint8 (H, W); dropped after the file was checked.
      measurements: what the quality gates and the compliance checks measured.
      anomaly: how unlike what the anomaly model has learnt, or None where it was not judged.
      category_doubt: the same with what its category tells, or None.
      encoded: assets ready to be stored.
      assets: assets stored.
      milliseconds: time spent by stage.
      model_share: of the segmentation model's time and places.
    """

    id: str
    source_uri: str
    attributes: dict[str, Any] = dataclasses.field(default_factory=dict)
    known: KnownPhoto | None = None
    leader: str | None = None
    leads: bool = False
    content: bytes | None = None
    source_version: str | None = None
    source_sha256: str | None = None
    refresh: Refresh = "new"
    width: int = 0
    height: int = 0
    image: np.ndarray | None = None
    source_alpha: np.ndarray | None = None
    perceptual: PerceptualHash | None = None
    coarse_mask: np.ndarray | None = None
    presence: float = 0.0
    alpha: np.ndarray | None = None
    foreground: np.ndarray | None = None
    coverage: float = 0.0
    bbox: tuple[int, int, int, int] | None = None
    touches_edge: bool = False
    background_gain: tuple[float, float, float] = (1.0, 1.0, 1.0)
    colour_shift: float = 0.0
    colour_method: str | None = None
    colour_abstention: str | None = None
    enhancements: tuple[str, ...] = ()
    review_reasons: tuple[ReviewReason, ...] = ()
    source_type: str | None = None
    source_credentials: bool | None = None
    digital_source_type: str | None = None
    enlarged: Enlarged | None = None
    packshot: np.ndarray | None = None
    packshot_alpha: np.ndarray | None = None
    measurements: Measurements | None = None
    anomaly: float | None = None
    category_doubt: float | None = None
    encoded: tuple[Encoded, ...] = ()
    assets: tuple[Asset, ...] = ()
    milliseconds: dict[str, float] = dataclasses.field(default_factory=dict)
    model_share: Share | None = None

    def replace(self, **changes) -> Photo:
        """Returns this photo with some fields changed.

        Raises:
          TypeError: a photo has no such field.
        """
        if unknown := changes.keys() - vars(self).keys():
            raise TypeError(f"a photo has no {', '.join(sorted(unknown))}")
        changed = object.__new__(type(self))  # without __init__, which sets forty fields one by one, in 50 us
        vars(changed).update(vars(self), **changes)
        return changed

    def timed(self, stage: str, milliseconds: float) -> Photo:
        """Returns this photo with the time of one more stage."""
        spent = self.milliseconds.get(stage, 0.0) + milliseconds
        return self.replace(milliseconds={**self.milliseconds, stage: spent})

    def summed(self) -> dict[str, float]:
        """Returns what is added up over all photos: the time of every stage, and the model's."""
        return {**self.milliseconds, **(self.model_share.sums() if self.model_share else {})}

    def flagged(self, *reasons: ReviewReason) -> Photo:
        """Returns this photo with more review reasons, each named once."""
        fresh = tuple(r for r in dict.fromkeys(reasons) if r not in self.review_reasons)
        return self.replace(review_reasons=self.review_reasons + fresh)

    def rejected(self, stage: str, reason: RejectReason, detail: str) -> Rejection:
        """Returns the rejection of this photo; pixels and bytes stay behind."""
        return Rejection(self.id, self.source_uri, self.source_sha256, stage, str(reason), detail, self.leads)


ASSET_TYPE = pa.struct(
    [
        ("kind", pa.string()),
        ("uri", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),
        ("media_type", pa.string()),
    ]
)
MEASUREMENTS_TYPE = pa.struct([(field.name, pa.float32()) for field in dataclasses.fields(Measurements)])
BBOX_TYPE = pa.struct([("x", pa.int32()), ("y", pa.int32()), ("width", pa.int32()), ("height", pa.int32())])

_CATALOGUE_FIELDS = [
    pa.field("id", pa.string(), nullable=False),
    pa.field("source_uri", pa.string(), nullable=False),
    pa.field("source_sha256", pa.string(), nullable=False),
    pa.field("status", pa.string(), nullable=False),
    pa.field("review_reasons", pa.list_(pa.string()), nullable=False),
    pa.field("refresh", pa.string(), nullable=False),
    pa.field("width", pa.int32(), nullable=False),
    pa.field("height", pa.int32(), nullable=False),
    pa.field("coverage", pa.float32(), nullable=False),
    pa.field("bbox", BBOX_TYPE),
    pa.field("touches_edge", pa.bool_(), nullable=False),
    pa.field("presence", pa.float32(), nullable=False),
    pa.field("background_gain", pa.list_(pa.float32()), nullable=False),
    pa.field("colour_shift", pa.float32(), nullable=False),
    pa.field("assets", pa.list_(ASSET_TYPE), nullable=False),
    pa.field("model", pa.string(), nullable=False),
    pa.field("model_sha256", pa.string(), nullable=False),
    pa.field("config_fingerprint", pa.string(), nullable=False),
    pa.field("packshot_version", pa.string(), nullable=False),
]
CATALOGUE_COLUMNS = tuple(field.name for field in _CATALOGUE_FIELDS)

# Columns that later releases added: behind the attributes, so that every older column keeps its place, and null in
# rows carried over from a run that did not have them.
_TRAILING_FIELDS = [
    pa.field("colour_method", pa.string()),
    pa.field("colour_abstention", pa.string()),
    pa.field("enhancements", pa.list_(pa.string())),
    pa.field("measurements", MEASUREMENTS_TYPE),
    pa.field("digital_source_type", pa.string()),
    pa.field("source_credentials", pa.bool_()),
    pa.field("source_version", pa.string()),
    *(pa.field(field.name, pa.string()) for field in dataclasses.fields(PerceptualHash)),
    pa.field("anomaly", pa.float32()),
    pa.field("category_doubt", pa.float32()),
]
TRAILING_COLUMNS = tuple(field.name for field in _TRAILING_FIELDS)
OWN_COLUMNS = frozenset((*CATALOGUE_COLUMNS, *TRAILING_COLUMNS))

REJECTIONS_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source_uri", pa.string(), nullable=False),
        pa.field("source_sha256", pa.string()),
        pa.field("stage", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
        pa.field("config_fingerprint", pa.string(), nullable=False),
    ]
)
NEAR_DUPLICATES_SCHEMA = pa.schema(
    [
        pa.field("id_a", pa.string(), nullable=False),
        pa.field("id_b", pa.string(), nullable=False),
        pa.field("distance", pa.int32(), nullable=False),
        pa.field("detail_distance", pa.int32(), nullable=False),
        pa.field("colour_distance", pa.float32(), nullable=False),
        pa.field("hash_a", pa.string(), nullable=False),
        pa.field("hash_b", pa.string(), nullable=False),
        pa.field("refresh_a", pa.string(), nullable=False),
        pa.field("refresh_b", pa.string(), nullable=False),
        pa.field("source_uri_a", pa.string(), nullable=False),
        pa.field("source_uri_b", pa.string(), nullable=False),
        pa.field("more", pa.bool_(), nullable=False),
    ]
)
NEAR_DUPLICATES_KEY = ("id_a", "id_b")

REMOVED_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source_uri", pa.string(), nullable=False),
        pa.field("source_sha256", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("assets", pa.list_(ASSET_TYPE), nullable=False),
        pa.field("last_run", pa.string(), nullable=False),
    ]
)

SCORES_TYPE = pa.struct([(field.name, pa.float32()) for field in dataclasses.fields(Scores)])
AUGMENTED_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),  # variant, backdrop or product
        pa.field("parents", pa.list_(pa.string()), nullable=False),
        pa.field("seed", pa.uint64(), nullable=False),
        pa.field("generator", pa.string(), nullable=False),
        pa.field("generator_sha256", pa.string()),
        pa.field("category", pa.string()),
        pa.field("colour", pa.string()),
        pa.field("purpose", pa.string(), nullable=False),  # training, or training_only where it must not be published
        pa.field("digital_source_type", pa.string(), nullable=False),
        pa.field("operations", pa.list_(pa.string()), nullable=False),
        pa.field("status", pa.string(), nullable=False),  # accepted or refused
        pa.field("refused_reason", pa.string()),
        pa.field("final", pa.bool_(), nullable=False),  # the last word on a sample that was asked for
        pa.field("scores", SCORES_TYPE),
        pa.field("uri", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("bytes", pa.int64()),
        pa.field("sha256", pa.string()),
        pa.field("media_type", pa.string()),
        pa.field("mask_uri", pa.string()),
        pa.field("mask_bytes", pa.int64()),
        pa.field("mask_sha256", pa.string()),
        pa.field("config_fingerprint", pa.string(), nullable=False),
    ]
)


def catalogue_schema(attributes: pa.Schema | None = None) -> pa.Schema:
    """Returns the catalogue table's schema.

    Args:
      attributes: the attribute columns with the types they have in the input.

    Raises:
      ValueError: an attribute column has the name of one of the catalogue's own.
    """
    attributes = attributes or pa.schema([])
    for name in attributes.names:
        if name in OWN_COLUMNS:
            raise ValueError(
                f"attribute column {name!r} has the name of one of the catalogue's own columns; "
                f"rename it in the input or leave it out of --attribute_columns"
            )
    return pa.schema([*_CATALOGUE_FIELDS, *attributes, *_TRAILING_FIELDS])


def catalogue_row(
    photo: Photo, *, model: str, model_sha256: str, config_fingerprint: str, packshot_version: str
) -> dict[str, Any]:
    """Returns the catalogue row of a finished photo, keyed by column."""
    box = photo.bbox
    hashes = dataclasses.fields(PerceptualHash)
    return {
        "id": photo.id,
        "source_uri": photo.source_uri,
        "source_sha256": photo.source_sha256,
        "status": "review" if photo.review_reasons else "ready",
        "review_reasons": [str(reason) for reason in photo.review_reasons],
        "refresh": photo.refresh,
        "width": photo.width,
        "height": photo.height,
        "coverage": photo.coverage,
        "bbox": None if box is None else dict(zip(("x", "y", "width", "height"), box, strict=True)),
        "touches_edge": photo.touches_edge,
        "presence": photo.presence,
        "background_gain": list(photo.background_gain),
        "colour_shift": photo.colour_shift,
        "assets": [dataclasses.asdict(asset) for asset in photo.assets],
        "model": model,
        "model_sha256": model_sha256,
        "config_fingerprint": config_fingerprint,
        "packshot_version": packshot_version,
        **photo.attributes,
        "colour_method": photo.colour_method,
        "colour_abstention": photo.colour_abstention,
        "enhancements": list(photo.enhancements),
        "measurements": None if photo.measurements is None else dataclasses.asdict(photo.measurements),
        "digital_source_type": photo.digital_source_type,
        "source_credentials": photo.source_credentials,
        "source_version": photo.source_version,
        **{field.name: getattr(photo.perceptual, field.name, None) for field in hashes},
        "anomaly": photo.anomaly,
        "category_doubt": photo.category_doubt,
    }
