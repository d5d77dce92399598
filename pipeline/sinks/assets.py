"""Stores a photo's finished files under names that follow from their origin."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re
import unicodedata

import apache_beam as beam
import numpy as np

from pipeline.records import Asset, Encoded, Photo
from pipeline.sinks import storage
from transforms.privacy import is_for_training_only
from transforms.reasons import PhotoError, RejectReason
from transforms.stage import PhotoStage

PUBLISHED = frozenset(("packshot", "cutout", "mask"))  # what shops show, or is made from it

_SLUG_LENGTH = 40
_NAME_PART = re.compile(r"[a-z0-9]+")


def asset_name(
    photo_id: str, source_sha256: str, fingerprint: str, model_sha256: str, kind: str, extension: str
) -> str:
    """Returns where below the output folder an asset is stored.

    Equal origin gives an equal name and any other origin another one, so that writing twice does no harm and
    an asset of an earlier run is never overwritten by different pixels. The id only decorates the name; no
    id can lead out of the folder.

    Args:
      photo_id: the catalogue's id, any text.
      source_sha256: of the encoded source photo.
      fingerprint: of the configuration.
      model_sha256: of the model's weights.
      kind: ``packshot``, ``mask``, ``cutout`` ...: lower-case letters and digits.
      extension: without the dot, for example ``jpg``.

    Returns:
      ``assets/<kind>/<hh>/<slug>-<digest>.<ext>``: digest, 20 hexadecimal digits; hh, the first two of them.

    Raises:
      ValueError: kind or extension is not made of lower-case letters and digits.
    """
    for name, value in (("kind", kind), ("extension", extension)):
        if not _NAME_PART.fullmatch(value):
            raise ValueError(f"an asset's {name} is made of lower-case letters and digits, not {value!r}")
    origin = "\0".join((photo_id, source_sha256, fingerprint, model_sha256, kind))
    digest = hashlib.sha256(origin.encode("utf-8", "surrogatepass")).hexdigest()[:20]
    return f"assets/{kind}/{digest[:2]}/{_slug(photo_id)}-{digest}.{extension}"


def write_assets(photo: Photo, output: str, fingerprint: str, model_sha256: str, *, synced: bool = True) -> Photo:
    """Stores what a photo's ``encoded`` holds.

    Args:
      photo: with ``encoded`` and ``source_sha256``.
      output: the output folder: local, ``gs://`` or ``s3://``.
      fingerprint: of the configuration.
      model_sha256: of the model's weights.
      synced: as of ``storage.write_bytes``.

    Returns:
      The photo with ``assets``, in the order of ``encoded``, and without pixels or encoded bytes.

    Raises:
      PhotoError: ``write_failed``, when a file could not be stored or did not verify.
    """
    if photo.source_sha256 is None:
        raise ValueError(f"photo {photo.id!r} has no source_sha256; assets are named after it")
    assets: dict[str, Asset] = {}
    for encoded in photo.encoded:
        uri = asset_name(photo.id, photo.source_sha256, fingerprint, model_sha256, encoded.kind, encoded.extension)
        if uri in assets:
            raise ValueError(f"photo {photo.id!r} has two assets of kind {encoded.kind!r}; a kind comes once")
        assets[uri] = store_asset(output, uri, encoded, synced=synced)
    return _without_pixels(photo).replace(encoded=(), assets=tuple(assets.values()))


class WriteAssets(beam.PTransform):
    """Stores every photo's assets; see ``write_assets``.

    Returns (of ``expand``):
      Two PCollections: photos with ``assets`` and nothing heavy, and rejections.
    """

    def __init__(self, output: str, fingerprint: str, model_sha256: str, *, synced: bool = True):
        super().__init__()
        self._write = functools.partial(
            write_assets, output=output, fingerprint=fingerprint, model_sha256=model_sha256, synced=synced
        )

    def expand(self, photos):
        return photos | PhotoStage("write", self._write)


def store_asset(output: str, uri: str, encoded: Encoded, *, synced: bool = True) -> Asset:
    """Stores one file.

    Args:
      output: the output folder.
      uri: where below it.
      encoded: the file's bytes.
      synced: as of ``storage.write_bytes``.

    Raises:
      PhotoError: ``write_failed``, when it could not be stored or did not verify; or when it is to be published, and
        says of itself that it was generated for training only. The file is asked, not whoever made it.
    """
    if not encoded.content:
        raise PhotoError(RejectReason.WRITE_FAILED, f"the encoded {encoded.kind} holds no bytes")
    if encoded.kind in PUBLISHED and is_for_training_only(encoded.content):
        detail = f"a picture that was generated for training only must not become a {encoded.kind}"
        raise PhotoError(RejectReason.WRITE_FAILED, detail)
    try:
        path = storage.join(output, uri)
        stored = storage.write_bytes(path, encoded.content, media_type=encoded.media_type, synced=synced)
    except storage.StorageError as error:
        raise PhotoError(RejectReason.WRITE_FAILED, str(error)) from error
    return Asset(encoded.kind, uri, encoded.width, encoded.height, stored.size, stored.sha256, encoded.media_type)


def _slug(photo_id: str) -> str:
    plain = unicodedata.normalize("NFKD", photo_id).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:_SLUG_LENGTH].rstrip("-") or "photo"


def _without_pixels(photo: Photo) -> Photo:
    values = ((field.name, getattr(photo, field.name)) for field in dataclasses.fields(photo))
    pixels = {name: None for name, value in values if isinstance(value, np.ndarray)}
    return photo.replace(content=None, **pixels)
