"""A sample's files and its row of the table ``augmented``."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from models.gating import Scores
from pipeline.augmentation.asking import Sample
from pipeline.credentials import Credentials
from pipeline.provenance import seal
from pipeline.records import AUGMENTED_SCHEMA, Asset, Encoded
from pipeline.sinks.assets import store_asset
from transforms.encode import encode_mask, encode_picture
from transforms.privacy import is_for_training_only
from transforms.reasons import PhotoError, RejectReason
from transforms.source_type import SourceType, source_type_packet

TRAINING, TRAINING_ONLY = "training", "training_only"

_EXTENSIONS = {"png": "png", "jpeg": "jpg"}
_EMPTY: dict[str, Any] = dict.fromkeys(AUGMENTED_SCHEMA.names)


class StoredSample(NamedTuple):
    """A sample's files.

    Attributes:
      picture: its picture.
      mask: its mask, or None for a generated product.
    """

    picture: Asset
    mask: Asset | None


def store(
    sample: Sample,
    image: np.ndarray,
    alpha: np.ndarray | None,
    source_type: SourceType,
    *,
    output: str,
    picture_format: str,
    origin: str,
    training_only: bool = False,
    refused: bool = False,
    credentials: Credentials | None = None,
) -> StoredSample:
    """Encodes, labels and stores a sample.

    Args:
      sample: which one.
      image: uint8 (h, w, 3), RGB.
      alpha: its matte, uint8 (h, w), or None.
      source_type: what its files say that they are.
      output: the output folder.
      picture_format: ``png`` or ``jpeg``.
      origin: SHA-256 of the photo or of the generator that it was made of.
      training_only: whether its file says that it must not be published.
      refused: whether it did not pass the gate; it is stored apart.
      credentials: who signs, or None.

    Raises:
      PhotoError: ``write_failed``.
    """
    packet = source_type_packet(source_type, training_only=training_only)
    extension = _EXTENSIONS[picture_format]
    height, width = image.shape[:2]

    def stored(content: bytes, media_type: str, uri: str) -> Asset:
        encoded = Encoded("augmented", content, width, height, media_type, uri.rpartition(".")[2], str(source_type))
        sealed = seal(encoded, origin, credentials)
        if is_for_training_only(sealed.content) is not training_only:
            detail = f"the file of {sample.id} does not say rightly whether it is for training only"
            raise PhotoError(RejectReason.WRITE_FAILED, detail)
        return store_asset(output, uri, sealed)

    picture = stored(
        encode_picture(image, picture_format, packet), f"image/{picture_format}", sample.uri(extension, refused=refused)
    )
    if alpha is None:
        return StoredSample(picture, None)
    return StoredSample(picture, stored(encode_mask(alpha, packet), "image/png", sample.uri("png", mask=True)))


def sample_row(
    sample: Sample,
    stored: StoredSample | None,
    *,
    generator: str,
    purpose: str,
    source_type: SourceType,
    fingerprint: str,
    category: str | None,
    parents: Sequence[str] = (),
    generator_sha256: str | None = None,
    colour: str | None = None,
    operations: Sequence[str] = (),
    refused: str | None = None,
    final: bool = True,
    scores: Scores | None = None,
) -> dict[str, Any]:
    """Returns a sample's row; the arguments are columns of ``AUGMENTED_SCHEMA``."""
    row = {
        **_EMPTY,
        "id": sample.id, "kind": sample.kind, "parents": list(parents), "seed": sample.seed,
        "generator": generator, "generator_sha256": generator_sha256, "category": category, "colour": colour,
        "purpose": purpose, "digital_source_type": str(source_type), "operations": list(operations),
        "status": "refused" if refused else "accepted", "refused_reason": refused, "final": final,
        "scores": None if scores is None else dataclasses.asdict(scores), "config_fingerprint": fingerprint,
    }  # fmt: skip
    if stored is not None:
        picture, mask = dataclasses.asdict(stored.picture), stored.mask
        row |= {name: picture[name] for name in ("uri", "width", "height", "bytes", "sha256", "media_type")}
        if mask is not None:
            row |= {"mask_uri": mask.uri, "mask_bytes": mask.bytes, "mask_sha256": mask.sha256}
    return row


def refused_row(
    sample: Sample, reason: str, *, parents: Sequence[str], generator: str, category: str | None, fingerprint: str
) -> dict[str, Any]:
    """Returns the row of a sample that could not be made of a photo."""
    return sample_row(
        sample, None, generator=generator, purpose=TRAINING, source_type=SourceType.ALGORITHMICALLY_ENHANCED,
        fingerprint=fingerprint, category=category, parents=parents, refused=reason,
    )  # fmt: skip
