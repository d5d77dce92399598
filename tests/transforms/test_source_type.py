import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.source_type import (
    SCHEME,
    SourceType,
    product_type,
    source_type_in_jumbf,
    source_type_in_xmp,
    source_type_packet,
    strongest,
)

TRAINED = SourceType.TRAINED_ALGORITHMIC_MEDIA
PROPERTY = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"


@pytest.mark.parametrize("term", SourceType)
def test_packet_is_xml_that_says_the_term_and_nothing_else(term):
    packet = source_type_packet(term)
    root = ET.fromstring(packet)
    assert [element.text for element in root.iter() if element.text] == [SCHEME + term.value]
    assert root.find(f".//{PROPERTY}").text == term.uri
    assert len(packet) < 500 and source_type_in_xmp(packet) is term


@pytest.mark.parametrize(
    "text",
    [
        'Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"',
        "Iptc4xmpExt:DigitalSourceType='https://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia/'",
        '<x:DigitalSourceType rdf:resource="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/>',
        "<e:DigitalSourceType>\n  digsrctype:trainedAlgorithmicMedia\n</e:DigitalSourceType>",
        "<e:DigitalSourceType>TrainedAlgorithmicMedia</e:DigitalSourceType>",
        "<Iptc4xmpExt:DigitalSourcefileType>trainedAlgorithmicMedia</Iptc4xmpExt:DigitalSourcefileType>",
    ],
)
def test_every_way_of_writing_it_is_read(text):
    assert source_type_in_xmp(text.encode()) is TRAINED
    assert source_type_in_xmp(text.encode("utf-16")) is TRAINED
    assert source_type_in_xmp(text.encode("utf-32-le")) is TRAINED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "trainedAlgorithmicMedia",
        "DigitalSourceType",
        "<e:DigitalSourceType></e:DigitalSourceType>",
        "<e:DigitalSourceType>my own words, trainedAlgorithmicMedia</e:DigitalSourceType>",
        'DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMediaX"',
        'DigitalSourceType="http://example.com/trainedAlgorithmicMedia"',
    ],
)
def test_other_texts_say_nothing(text):
    assert source_type_in_xmp(text.encode()) is None


def test_the_strongest_of_several_counts():
    text = b'DigitalSourceType="digitalCapture" DigitalSourceType="trainedAlgorithmicMedia" DigitalSourceType="print"'
    assert source_type_in_xmp(text) is TRAINED
    assert strongest(None, SourceType.PRINT, None) is SourceType.PRINT
    assert strongest() is None


def test_entities_are_not_expanded_and_long_blanks_cost_nothing():
    bomb = b'<!DOCTYPE x [<!ENTITY a "trainedAlgorithmicMedia">]><e:DigitalSourceType>&a;</e:DigitalSourceType>'
    assert source_type_in_xmp(bomb) is None
    assert source_type_in_xmp(b"DigitalSourceType" + b" " * 10**6 + b"=" + b"'" * 10**6) is None
    assert source_type_in_xmp(b"DigitalSourceType>" * 10**5) is None


@pytest.mark.parametrize("after", [b"", b"m", b"\x00", b"kdescription", b"dwhen"])
@pytest.mark.parametrize("term", [SourceType.COMPOSITE, SourceType.DIGITAL_CAPTURE, TRAINED])
def test_a_manifest_names_it_whatever_byte_follows(term, after):
    store = b"\0\0\1\0jumb...cbor\xa1qdigitalSourceTypex" + bytes([len(term.uri)]) + term.uri.encode() + after
    assert source_type_in_jumbf(store) is term


def test_a_manifest_without_it_says_nothing():
    assert source_type_in_jumbf(b"") is None
    assert source_type_in_jumbf(b"http://cv.iptc.org/newscodes/digitalsourcetype/") is None
    assert source_type_in_jumbf(b"http://c2pa.org/digitalsourcetype/empty") is None
    assert source_type_in_jumbf(b"http://c2pa.org/digitalsourcetype/trainedAlgorithmicData") is TRAINED


@given(st.binary(max_size=400))
def test_any_bytes_can_be_searched(data):
    for text in (data, b"DigitalSourceType" + data, b"digitalsourcetype/" + data):
        source_type_in_xmp(text)
        source_type_in_jumbf(text)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "algorithmicallyEnhanced"),
        ("digitalCapture", "algorithmicallyEnhanced"),
        ("humanEdits", "algorithmicallyEnhanced"),
        ("compositeCapture", "compositeCapture"),
        ("algorithmicMedia", "algorithmicMedia"),
        ("compositeWithTrainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia"),
        ("trainedAlgorithmicMedia", "trainedAlgorithmicMedia"),
    ],
)
def test_a_stronger_label_of_the_source_stays(before, after):
    assert product_type(before and SourceType(before)) == after
