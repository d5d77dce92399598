"""File names as ids and addresses."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.filesystem import beam_path
from pipeline.sources.names import address_of_path, id_of_name, is_plain

NAMES = st.lists(st.binary(min_size=1, max_size=12).filter(lambda b: not {0, 47} & set(b) and b not in (b".", b"..")))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("shoes/a b.jpg", "shoes/a b.jpg"),
        ("50%25.jpg", "50%25.jpg"),
        ("no-break\u00a0\u3000.jpg", "no-break\u00a0\u3000.jpg"),
        ("\u65e5\u672c.jpg", "\u65e5\u672c.jpg"),
        ("a\nb%.jpg", "./a%0Ab%25.jpg"),
        (os.fsdecode(b"caf\xe9.jpg"), "./caf%E9.jpg"),
        ("\u202egpj.exe", "./%E2%80%AEgpj.exe"),
        ("./x", "././x"),
    ],
)
def test_ids_of_names(name, expected):
    assert id_of_name(name) == expected


@given(NAMES, NAMES)
def test_no_two_names_share_an_id_and_every_id_is_plain(one, other):
    one, other = (os.fsdecode(b"/".join(parts)) for parts in (one, other))
    assert (id_of_name(one) == id_of_name(other)) == (one == other)
    assert is_plain(id_of_name(one))


@given(NAMES.filter(bool))
def test_addresses_are_plain_and_lead_back(parts):
    path = os.fsdecode(b"/" + b"/".join(parts))
    address = address_of_path(path)
    assert is_plain(address) and beam_path(address) == path
