"""Properties that hold for any bytes; ``make fuzz`` looks for exceptions to them for as long as one likes."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.sources import SourceError
from tests.fuzz.mutation import EDITS, damaged
from tests.fuzz.seeds import parquet_seeds, picture_seeds
from tests.fuzz.targets import decode_photo, read_parquet

PICTURES = picture_seeds()
TABLES = parquet_seeds()
_REFUSED = (
    *("images-struct-without", "images-nested", "images-list", "images-null", "images-fixed"),
    *("ids-null", "ids-float", "no-rows", "no-columns", "two-ids"),
)
slow = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@settings(slow, max_examples=300)
@given(name=st.sampled_from(sorted(PICTURES)), edits=EDITS)
def test_damaged_pictures_are_decoded_or_refused(name, edits):
    decode_photo(damaged(PICTURES[name], edits))


@settings(slow, max_examples=150)
@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(content):
    decode_photo(content)


@settings(slow, max_examples=200)
@given(name=st.sampled_from(sorted(TABLES)), edits=EDITS)
def test_damaged_parquet_files_are_read_or_refused(name, edits):
    read_parquet(damaged(TABLES[name], edits, from_end=True))


@pytest.mark.parametrize("name", TABLES)
def test_every_layout_is_read_or_refused(name):
    found = read_parquet(TABLES[name])
    assert isinstance(found, SourceError) == name.startswith(_REFUSED), found
