"""What is kept of a photo's metadata: whether it says that a machine made it, and nothing else.

Assets are built from pixels alone, so places, serial numbers, thumbnails, names and comments have no way into
them. The one thing that must not be lost on the way is the mark of a generated picture: it is read here from the
source's bytes, and written anew by ``transforms.encode``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from transforms.metadata_blocks import Block, Kind, is_c2pa, joined, metadata_blocks
from transforms.reasons import PhotoError, RejectReason
from transforms.source_type import SourceType, is_training_only, source_type_in_jumbf, source_type_in_xmp, strongest
from transforms.stage import PhotoStage

# All that a file of ours may hold beside its pixels.
ALLOWED = frozenset({Kind.JFIF, Kind.LAYOUT, Kind.ICC, Kind.SRGB, Kind.XMP, Kind.C2PA})


class SourceLabels(NamedTuple):
    """What a file says about its own origin.

    Attributes:
      source_type: the strongest IPTC Digital Source Type that it names, in XMP or in a C2PA manifest, or None.
      credentials: whether it carries a C2PA manifest. A camera signs as well as a generator, so this alone says
        nothing of how the picture was made.
    """

    source_type: SourceType | None
    credentials: bool


def read_labels(content: bytes) -> SourceLabels:
    """Reads what a file says about its origin, without decoding it.

    Args:
      content: a whole file of any kind, damaged or hostile as it may be; nothing is raised.
    """
    blocks = metadata_blocks(content)
    for block in tuple(block for block in blocks if block.kind is Kind.EXIF):
        blocks += metadata_blocks(block.data)  # a small TIFF, whose tag 700 is XMP
    manifests = joined(blocks, Kind.C2PA)
    return SourceLabels(
        strongest(source_type_in_xmp(joined(blocks, Kind.XMP, Kind.XMP_EXTENSION)), source_type_in_jumbf(manifests)),
        any(is_c2pa(block.data) for block in blocks if block.kind is Kind.C2PA),
    )


def is_for_training_only(content: bytes) -> bool:
    """Returns whether a file says that it is a product which a generator of ours made for training.

    Args:
      content: a whole file of any kind, damaged or hostile as it may be; nothing is raised.
    """
    return is_training_only(joined(metadata_blocks(content), Kind.XMP))


def foreign_blocks(content: bytes) -> list[Block]:
    """Returns what a file of ours holds beside its pixels that is not on the allow-list.

    Args:
      content: an asset: JPEG, PNG or WebP.
    """
    return [block for block in metadata_blocks(content) if block.kind not in ALLOWED]


def read_photo_labels(photo: Any) -> Any:
    """Returns the photo with ``source_type`` and ``source_credentials``, read from its ``content``.

    Raises:
      PhotoError: ``training_only``, when it is no photo but a product that a generator of ours made for training.
    """
    labels = read_labels(photo.content or b"")
    if is_for_training_only(photo.content or b""):
        detail = "the file says that it was generated for training only, so no packshot is made of it"
        raise PhotoError(RejectReason.TRAINING_ONLY, detail)
    return photo.replace(source_type=labels.source_type, source_credentials=labels.credentials)


class ReadLabels(PhotoStage):
    """Reads every photo's marks of origin; it has to come before decoding, which drops the bytes."""

    def __init__(self):
        super().__init__("labels", read_photo_labels)
