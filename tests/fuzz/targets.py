"""What fuzzers call: any bytes must come out as a photo or as an orderly refusal, within bounds."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import pyarrow as pa

from pipeline.records import Photo, Rejection
from pipeline.sources import PlannedItem, SourceError, open_source, read_photos
from transforms.decode import Decoded, DecodeLimits, decode
from transforms.privacy import read_labels
from transforms.reasons import PhotoError

MAX_PIXELS = 1_000_000
_LIMITS = DecodeLimits(max_pixels=MAX_PIXELS, max_bytes=1 << 20)


def decode_photo(content: bytes) -> Decoded | PhotoError:
    """Decodes bytes as the job does, checks what comes of it, and returns it."""
    warnings.simplefilter("ignore")
    read_labels(content)
    try:
        decoded = decode(content, limits=_LIMITS, wanted=64)
    except PhotoError as error:
        assert error.detail and error.detail.isprintable() or "\n" in error.detail
        return error
    height, width, channels = decoded.image.shape
    assert decoded.image.dtype == "uint8" and channels == 3
    assert 0 < height <= decoded.height and 0 < width <= decoded.width
    assert decoded.width * decoded.height <= MAX_PIXELS
    assert decoded.alpha is None or decoded.alpha.shape == (height, width)
    return decoded


def read_parquet(content: bytes) -> list[Photo | Rejection] | SourceError:
    """Reads bytes as a Parquet feed, checks that every id comes out once, and returns what does."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "feed.parquet"
        path.write_bytes(content)
        try:
            source = open_source(str(path))
            items = list(source.items())
        except SourceError as error:
            assert str(error) and "\n" not in str(error)
            return error
        found: list[Photo | Rejection] = []
        for item in items:
            photos = list(read_photos(PlannedItem(item), source.options))
            assert tuple(photo.id for photo in photos) == item.ids
            found += photos
        for photo in found:
            assert isinstance(photo, Rejection) or photo.content is not None or photo.source_uri
        pa.array([photo.id for photo in found], pa.string())  # fits into a table
        return found
