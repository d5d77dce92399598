"""What fuzzers call: any bytes must come out as a photo or as an orderly refusal, within bounds."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from unittest import mock

import pyarrow as pa

from pipeline.records import Photo, Rejection
from pipeline.sources import PlannedItem, SourceError, large_pages, open_source, read_photos
from transforms.decode import Decoded, DecodeLimits, decode
from transforms.privacy import read_labels
from transforms.reasons import PhotoError

MAX_PIXELS = 1_000_000
ANY_PAGE_IS_LARGE = {"LARGE_PAGE": -1, "_LEAST_MEAN": 0, "_IN_MEMORY": 50}  # of pipeline.sources.large_pages
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
    """Reads bytes as a Parquet feed, checks that every id comes out once, and returns what does.

    Every row group is read a second time, with its pages taken for large ones; the same must come out.
    """
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
            with mock.patch.multiple(large_pages, **ANY_PAGE_IS_LARGE):
                assert_as_good(list(read_photos(PlannedItem(item), source.options)), photos)
            found += photos
        for photo in found:
            assert isinstance(photo, Rejection) or photo.content is not None or photo.source_uri
        pa.array([photo.id for photo in found], pa.string())  # fits into a table
        return found


def assert_as_good(found: list[Photo | Rejection], wanted: list[Photo | Rejection]) -> None:
    """Checks that one way to read a row group gives what another gives, or more of a damaged one."""
    for photo, other in zip(found, wanted, strict=True):
        assert photo.id == other.id
        unread = isinstance(other, Rejection) and other.reason == "fetch_failed"
        assert photo == other or unread, (photo, other)
