"""What an asset says of its own origin: which label it gets, and that the stored file really carries it."""

from __future__ import annotations

import dataclasses
import functools

from pipeline.credentials import Credentials
from pipeline.records import Encoded, Photo
from transforms.privacy import foreign_blocks, read_labels
from transforms.profile import Profile
from transforms.reasons import PhotoError, RejectReason
from transforms.source_type import SourceType
from transforms.stage import PhotoStage


def ground_type(profile: Profile) -> SourceType | None:
    """Returns what a packshot becomes by the ground that it is put on.

    A plain ground or a gradient is no content, so the picture stays a corrected photo. A picture of the user's is:
    then the packshot is a composite, and how much of one follows from what that picture says about itself.

    Args:
      profile: with the ground.

    Returns:
      None for a ground that adds nothing.
    """
    if profile.backdrop is None:
        return None
    term = read_labels(profile.backdrop).source_type
    if term is None:
        return SourceType.COMPOSITE  # "any of which may or may not be generative AI"
    if term.strength >= SourceType.COMPOSITE_SYNTHETIC.strength:
        return SourceType.COMPOSITE_WITH_TRAINED_ALGORITHMIC_MEDIA
    captured = term.strength <= SourceType.COMPOSITE_CAPTURE.strength
    return SourceType.COMPOSITE_CAPTURE if captured else SourceType.COMPOSITE


def seal(encoded: Encoded, source_sha256: str, credentials: Credentials | None = None) -> Encoded:
    """Signs an asset, if asked to, and reads it back.

    Args:
      encoded: a file and what it should say that it is.
      source_sha256: of the photo that it was made of.
      credentials: who signs, or None.

    Returns:
      The asset, with a manifest if there are credentials.

    Raises:
      PhotoError: ``write_failed``, when the file does not carry its label or carries anything that is not on the
        allow-list.
    """
    term = SourceType(encoded.source_type)
    if credentials is not None:
        content = credentials.sign(encoded.content, encoded.media_type, term, source_sha256)
        encoded = dataclasses.replace(encoded, content=content)
    labels = read_labels(encoded.content)
    if labels.source_type is not term or labels.credentials != (credentials is not None):
        detail = f"the {encoded.kind} should say that it is {term.value}, but says {labels}"
        raise PhotoError(RejectReason.WRITE_FAILED, detail)
    if foreign := foreign_blocks(encoded.content):
        names = ", ".join(block.name for block in foreign)
        raise PhotoError(RejectReason.WRITE_FAILED, f"the {encoded.kind} holds {names}, which no asset may")
    return encoded


def seal_photo(photo: Photo, credentials: Credentials | None = None) -> Photo:
    """Returns the photo with every asset in ``encoded`` sealed; see ``seal``."""
    if photo.source_sha256 is None:
        raise ValueError(f"photo {photo.id!r} has no source_sha256; a manifest names what it was made of by it")
    return photo.replace(encoded=tuple(seal(asset, photo.source_sha256, credentials) for asset in photo.encoded))


class SealAssets(PhotoStage):
    """Reads every asset's label back, after signing it where credentials are given.

    Args:
      credentials: who signs, or None for nobody.
    """

    def __init__(self, credentials: Credentials | None = None):
        super().__init__("seal", functools.partial(seal_photo, credentials=credentials))
