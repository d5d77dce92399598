"""The vocabulary by which a picture says where it comes from, and the XMP packet that says it in our files."""

from __future__ import annotations

import enum
import re

SCHEME = "http://cv.iptc.org/newscodes/digitalsourcetype/"
# The terms of use of a generated product's file: made for models to learn from, never to be published.
TRAINING_ONLY = "packshot/training_only"
_XMP_BEGIN = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
_MOST_XMP = 4 * 2**20  # bytes of a file's XMP that are looked at; real packets have some kilobytes
_PROPERTY = re.compile(rb"DigitalSource(?:file)?Type")
# The value follows its property at once, as an attribute, an element's text or an rdf:resource.
_VALUE = re.compile(
    rb"(?:\s{0,64}(?:rdf:resource\s{0,8})?[=>]\s{0,64}[\"']?\s{0,64})"
    rb"(?:https?://cv\.iptc\.org/newscodes/digitalsourcetype/|digsrctype:)?([A-Za-z]{1,60})(?![A-Za-z])"
)
_URI_IN_JUMBF = re.compile(rb"digitalsourcetype/([A-Za-z]{1,60})")


class SourceType(enum.StrEnum):
    """IPTC NewsCodes "Digital Source Type", https://cv.iptc.org/newscodes/digitalsourcetype (as of October 2024).

    In the order of ``strength``: the later ones say more loudly that a picture is no plain photo.
    """

    DIGITAL_CAPTURE = "digitalCapture"
    COMPUTATIONAL_CAPTURE = "computationalCapture"
    NEGATIVE_FILM = "negativeFilm"
    POSITIVE_FILM = "positiveFilm"
    PRINT = "print"
    SCREEN_CAPTURE = "screenCapture"
    MINOR_HUMAN_EDITS = "minorHumanEdits"  # retired
    HUMAN_EDITS = "humanEdits"
    ALGORITHMICALLY_ENHANCED = "algorithmicallyEnhanced"
    COMPOSITE_CAPTURE = "compositeCapture"
    DATA_DRIVEN_MEDIA = "dataDrivenMedia"
    SOFTWARE_IMAGE = "softwareImage"  # retired
    DIGITAL_ART = "digitalArt"  # retired
    DIGITAL_CREATION = "digitalCreation"
    COMPOSITE = "composite"
    VIRTUAL_RECORDING = "virtualRecording"
    ALGORITHMIC_MEDIA = "algorithmicMedia"
    COMPOSITE_SYNTHETIC = "compositeSynthetic"
    COMPOSITE_WITH_TRAINED_ALGORITHMIC_MEDIA = "compositeWithTrainedAlgorithmicMedia"
    TRAINED_ALGORITHMIC_MEDIA = "trainedAlgorithmicMedia"

    @property
    def uri(self) -> str:
        """The term's full identifier, as files carry it."""
        return SCHEME + self.value

    @property
    def strength(self) -> int:
        """Rank among all terms."""
        return _ORDER[self]


_ORDER = {term: rank for rank, term in enumerate(SourceType)}
_BY_NAME = {term.value.lower().encode(): term for term in SourceType}
# C2PA's own term for what a model was trained to make that is no picture: for a picture it means the same.
_IN_JUMBF = {**_BY_NAME, b"trainedalgorithmicdata": SourceType.TRAINED_ALGORITHMIC_MEDIA}


def strongest(*terms: SourceType | None) -> SourceType | None:
    """Returns the strongest of some terms, None where there is none."""
    known = [term for term in terms if term is not None]
    return max(known, key=lambda term: term.strength) if known else None


def product_type(source_type: SourceType | None) -> SourceType:
    """Returns what a photo is after cutting out and correction: at least algorithmically enhanced.

    The vocabulary has that for "modification or correction by algorithm without changing the main content of the
    media": the product is the content, and it stays. A network finds the product's outline, and one may make it sharper
    (``transforms.enlarge``), held to the photo's own pixels; none invents any.

    Args:
      source_type: what the photo was before; a stronger term stays.
    """
    enhanced = SourceType.ALGORITHMICALLY_ENHANCED
    return enhanced if source_type is None or source_type.strength < enhanced.strength else source_type


def source_type_packet(term: SourceType, *, training_only: bool = False) -> bytes:
    """Returns the XMP packet that labels a picture, and says nothing else (ISO 16684-1).

    Args:
      term: what the picture is. IPTC-IIM has no such property, so XMP is the only place for it.
      training_only: whether its terms of use are that models may learn from it, and nothing else.
    """
    terms = (
        '<xmpRights:UsageTerms xmlns:xmpRights="http://ns.adobe.com/xap/1.0/rights/"><rdf:Alt>'
        f'<rdf:li xml:lang="x-default">{TRAINING_ONLY}</rdf:li></rdf:Alt></xmpRights:UsageTerms>'
    )
    return (
        f'{_XMP_BEGIN}<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
        f"<Iptc4xmpExt:DigitalSourceType>{term.uri}</Iptc4xmpExt:DigitalSourceType>"
        f"{terms if training_only else ''}"
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    ).encode()


def is_training_only(packet: bytes) -> bool:
    """Returns whether an XMP packet, damaged or cut as it may be, has the terms of use of a generated product."""
    return TRAINING_ONLY.encode() in packet[:_MOST_XMP].replace(b"\0", b"")


def source_type_in_xmp(packet: bytes) -> SourceType | None:
    """Returns the strongest ``Iptc4xmpExt:DigitalSourceType`` in an XMP packet.

    The packet comes from anyone, so it is searched, not parsed: no entities, no nesting, time linear in its size.
    Terms that the vocabulary does not have are passed over; a label can thus carry nothing else along.

    Args:
      packet: UTF-8, or UTF-16 or UTF-32, whose zero bytes are dropped; may be damaged or cut.
    """
    text = packet[:_MOST_XMP]
    if b"\0" in text:
        text = text.replace(b"\0", b"")
    found = (_VALUE.match(text, match.end()) for match in _PROPERTY.finditer(text))
    return strongest(*(_BY_NAME.get(value[1].lower()) for value in found if value))


def source_type_in_jumbf(manifests: bytes) -> SourceType | None:
    """Returns the strongest Digital Source Type that any manifest of a C2PA manifest store names.

    Manifests are CBOR, where texts stand as they are: the URI is searched for. A generated ingredient counts as
    much as a generated whole, because telling them apart takes reading the manifests.

    Args:
      manifests: JUMBF superboxes (ISO 19566-5); may be damaged or cut.
    """
    found = set()
    for match in _URI_IN_JUMBF.finditer(manifests[:_MOST_XMP]):
        name = match[1].lower()
        # the byte after a text may look like a letter: the longest term that the letters start with is meant
        found.add(next((_IN_JUMBF[name[:n]] for n in range(len(name), 3, -1) if name[:n] in _IN_JUMBF), None))
    return strongest(*found)
