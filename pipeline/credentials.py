"""Signed C2PA manifests: what was done to a photo, in a form that anyone can check (C2PA specification 2.x).

Signing is made repeatable. The library salts every assertion with random bytes, so the same picture signed twice
would differ, and a repeated bundle would replace a stored file by another one under the same name. Here salts
follow from the picture, ECDSA takes its nonce from the message (RFC 6979), and nothing asks for the time.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import hashlib
import io
import json
import struct
import uuid
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from PIL import Image

from pipeline.sinks import storage
from pipeline.version import __version__
from transforms.profile import Profile
from transforms.source_type import SourceType

_SETTINGS = {
    "builder": {"thumbnail": {"enabled": False}},  # a second, smaller copy of every picture
    "verify": {"verify_after_sign": False, "ocsp_fetch": False, "remote_manifest_fetch": False},
}
_UNTRUSTED = "signingCredential.untrusted"  # whether a certificate is trusted is for the reader to say
_SPARE_BYTES = 64  # a manifest's length varies by a few bytes with the lengths of the numbers in it
_ROUNDS = 4  # assertions name each other's hashes; ours do so to a depth of two


class _Identity(NamedTuple):
    """Who signs: never pickled, printed or stored."""

    chain: str
    algorithm: str
    sign: Callable[[bytes], bytes]


@dataclasses.dataclass(frozen=True)
class Credentials:
    """Signs files with a certificate and its key; holds their places alone, so that a job's graph has no secret.

    Attributes:
      certificate: PEM file of the signing certificate and those above it, signing certificate first; a path of
        this and every worker's machine, or ``gs://`` or ``s3://``.
      key: PEM file of its private key, not encrypted: EC (P-256, P-384, P-521) or Ed25519.
    """

    certificate: str
    key: str

    def check(self) -> int:
        """Signs and reads back a small picture.

        Returns:
          By how many bytes a signed file is larger, at most.

        Raises:
          ValueError: the extra is not installed, a file cannot be read, the key is not the certificate's, or the
            certificate is not one for C2PA. The message never holds anything of the key.
        """
        stream = io.BytesIO()
        Image.new("RGB", (16, 16)).save(stream, "JPEG")
        plain = stream.getvalue()
        signed = self.sign(plain, "image/jpeg", SourceType.ALGORITHMICALLY_ENHANCED, "0" * 64)
        if problems := verify(signed, "image/jpeg"):
            raise ValueError(
                f"--c2pa_certificate={self.certificate!r} makes no valid C2PA signature: {', '.join(problems)}; it has "
                f"to be in force, for digital signatures, and not a certificate authority's own"
            )
        return len(signed) - len(plain) + _SPARE_BYTES

    def sign(self, content: bytes, media_type: str, term: SourceType, source_sha256: str) -> bytes:
        """Returns a file with a signed manifest in it; the same arguments give the same bytes.

        Args:
          content: JPEG, PNG or WebP.
          media_type: of the content.
          term: what the picture is.
          source_sha256: of the photo that it was made of.

        Raises:
          ValueError: as in ``check``.
        """
        c2pa = _library()
        identity = _identity(self.certificate, self.key)
        digest = hashlib.sha256(f"{source_sha256}\0{term}\0{__version__}\0".encode() + content).digest()
        calls: list[bytes] = []

        def sign(message: bytes) -> bytes:
            calls.append(bytes(message))
            return identity.sign(calls[-1])

        signed = io.BytesIO()
        algorithm = c2pa.C2paSigningAlg[identity.algorithm]
        try:
            with (
                c2pa.Context.from_dict(_SETTINGS) as context,
                c2pa.Signer.from_callback(sign, algorithm, identity.chain, None) as signer,
                c2pa.Builder.from_json(json.dumps(_manifest(term, source_sha256, digest)), context) as builder,
            ):
                store = bytes(builder.sign(signer, media_type, io.BytesIO(content), signed))
        except c2pa.C2paError as error:
            raise ValueError(f"--c2pa_certificate={self.certificate!r} cannot sign: {error}") from None
        settled = _settled(store, digest, calls[0], identity.sign)
        return _replaced(signed.getvalue(), store, settled)


def verify(content: bytes, media_type: str) -> list[str]:
    """Returns what is wrong with a file's manifest, in C2PA's codes; an unknown certificate authority is not."""
    c2pa = _library()
    try:
        with (
            c2pa.Context.from_dict(_SETTINGS) as context,
            c2pa.Reader(media_type, io.BytesIO(content), context=context) as reader,
        ):
            statuses = json.loads(reader.json()).get("validation_status", [])
    except c2pa.C2paError as error:
        return [str(error)]
    return sorted({status["code"] for status in statuses} - {_UNTRUSTED})


def room_for_credentials(profile: Profile, size: int) -> Profile:
    """Returns a profile whose byte limits leave room for a manifest.

    Args:
      profile: the marketplace's rules.
      size: bytes that signing adds.

    Raises:
      ValueError: no room is left.
    """
    if profile.max_bytes is None:
        return profile
    if profile.max_bytes <= size:
        raise ValueError(
            f"profile {profile.name!r} allows {profile.max_bytes} bytes a file, and a C2PA manifest alone takes "
            f"{size}; raise max_bytes, or leave --c2pa_certificate out"
        )
    most = profile.max_bytes - size
    least = None if profile.min_bytes is None else min(profile.min_bytes, most)
    return dataclasses.replace(profile, max_bytes=most, min_bytes=least)


def certificate_digest(certificate: str) -> str:
    """Returns the SHA-256 of a certificate file: who signs is part of what a file is.

    Raises:
      ValueError: it cannot be read.
    """
    return hashlib.sha256(_read(certificate, "--c2pa_certificate")).hexdigest()


def _library() -> Any:
    try:
        import c2pa
    except ImportError as error:
        raise ValueError(
            "--c2pa_certificate needs the package c2pa-python, which is not installed: pip install 'packshot[c2pa]'"
        ) from error
    return c2pa


def _read(path: str, flag: str) -> bytes:
    try:
        return storage.read_bytes(path)
    except (OSError, ValueError, storage.StorageError) as error:
        raise ValueError(f"{flag}={path!r} cannot be read: {type(error).__name__}") from error


@functools.lru_cache(maxsize=4)
def _identity(certificate: str, key: str) -> _Identity:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

    chain = _read(certificate, "--c2pa_certificate")
    secret = _read(key, "--c2pa_key")
    try:
        own = x509.load_pem_x509_certificates(chain)[0]
    except ValueError:
        raise ValueError(f"--c2pa_certificate={certificate!r} holds no PEM certificate") from None
    try:
        private = serialization.load_pem_private_key(secret, None)
    except TypeError:
        raise ValueError(f"--c2pa_key={key!r} is encrypted; a job cannot ask for its password") from None
    except Exception:  # whatever it says, it might quote the file
        raise ValueError(f"--c2pa_key={key!r} holds no private key in PEM") from None
    if private.public_key() != own.public_key():
        raise ValueError(f"--c2pa_key={key!r} is not the key of the first certificate in {certificate!r}")
    now = datetime.datetime.now(datetime.UTC)
    if not own.not_valid_before_utc <= now <= own.not_valid_after_utc:
        days = f"{own.not_valid_before_utc:%Y-%m-%d} to {own.not_valid_after_utc:%Y-%m-%d}"
        raise ValueError(f"--c2pa_certificate={certificate!r} is in force from {days} alone")

    curves = {"secp256r1": ("ES256", hashes.SHA256()), "secp384r1": ("ES384", hashes.SHA384()),
              "secp521r1": ("ES512", hashes.SHA512())}  # fmt: skip
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return _Identity(chain.decode(), "ED25519", private.sign)
    if isinstance(private, ec.EllipticCurvePrivateKey) and private.curve.name in curves:
        name, digest = curves[private.curve.name]
        scheme, size = ec.ECDSA(digest, deterministic_signing=True), -(-private.curve.key_size // 8)

        def sign(message: bytes) -> bytes:
            r, s = utils.decode_dss_signature(private.sign(message, scheme))
            return r.to_bytes(size, "big") + s.to_bytes(size, "big")  # as COSE has it, RFC 9053, section 2.1

        return _Identity(chain.decode(), name, sign)
    raise ValueError(
        f"--c2pa_key={key!r} is of a kind that cannot sign repeatably; an EC key of P-256, P-384 or P-521, or "
        f"an Ed25519 key can"
    )


def _manifest(term: SourceType, source_sha256: str, digest: bytes) -> dict[str, Any]:
    name = uuid.UUID(bytes=digest[:16], version=4)
    actions = [
        {"action": "c2pa.opened", "parameters": {"ingredientIds": ["source"]}},
        {
            "action": "c2pa.edited",
            "digitalSourceType": term.uri,
            "description": "product cut out, colours corrected, ground replaced",
        },
    ]
    return {
        "label": f"urn:c2pa:{name}",
        "instance_id": f"xmp:iid:{name}",
        "title": "packshot",
        "claim_generator_info": [{"name": "packshot", "version": __version__}],
        # by its hash alone: the photo's own manifests may hold its thumbnail and its place
        "ingredients": [
            {
                "label": "source",
                "relationship": "parentOf",
                "title": "source photo",
                "instance_id": f"sha256:{source_sha256}",
            }
        ],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}}],
    }


class _Box(NamedTuple):
    """A JUMBF superbox in a store: its label, where it starts and ends, and where its children start."""

    label: bytes
    start: int
    children: int
    end: int


def _settled(store: bytes, digest: bytes, message: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """Returns a manifest store with salts that follow from the digest, and hashes and signature that fit them.

    Args:
      store: JUMBF, as the library made it.
      digest: what the salts are made of.
      message: what the library had signed: COSE's ``Sig_structure``, which ends with the claim.
      sign: signs anew.

    Raises:
      ValueError: the store is not built as expected; the library has changed.
    """
    boxes = list(_boxes(store, 0, len(store)))
    data = bytearray(store)
    for box in boxes:
        at = data.find(b"c2sh", box.start, box.children)
        if at >= 0:
            size = box.children - at - 4
            data[at + 4 : box.children] = hashlib.sha256(digest + box.label).digest()[:size].ljust(size, b"\0")
    store_box = _one(boxes, b"c2pa.assertions")
    assertions = [box for box in boxes if store_box.start < box.start < store_box.end]
    hashes = [hashlib.sha256(store[box.start + 8 : box.end]).digest() for box in assertions]
    for _ in range(_ROUNDS):
        for number, box in enumerate(assertions):
            fresh = hashlib.sha256(data[box.start + 8 : box.end]).digest()
            if hashes[number] not in data and fresh not in data:
                raise ValueError(f"the C2PA library no longer hashes assertion {box.label!r} as it did")
            data, hashes[number] = data.replace(hashes[number], fresh), fresh
    claim_box = next(box for box in boxes if box.label.startswith(b"c2pa.claim"))
    claim = slice(claim_box.children + 8, claim_box.end)  # the payload of the one CBOR box in it
    if not message.endswith(store[claim]):
        raise ValueError("the C2PA library no longer signs the claim as it did")
    before = sign(message)
    if data.count(before) != 1:
        raise ValueError("the C2PA library no longer stores the signature as it did")
    after = sign(message[: len(message) - (claim.stop - claim.start)] + bytes(data[claim]))
    return bytes(data.replace(before, after))


def _boxes(store: bytes | bytearray, start: int, end: int) -> Iterator[_Box]:
    """Yields all superboxes of a store, outer before inner (ISO 19566-5)."""
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", store, start)
        if size < 8 or start + size > end:
            raise ValueError(f"the C2PA library made a box of {size} bytes where {end - start} are left")
        if kind == b"jumb":
            (described,) = struct.unpack_from(">I", store, start + 8)
            label = bytes(store[start + 8 + 8 + 17 : start + 8 + described]).split(b"\0", 1)[0]
            yield _Box(label, start, start + 8 + described, start + size)
            yield from _boxes(store, start + 8 + described, start + size)
        start += size


def _one(boxes: list[_Box], label: bytes) -> _Box:
    found = [box for box in boxes if box.label == label]
    if len(found) != 1:
        raise ValueError(f"the C2PA library made {len(found)} boxes {label!r} instead of one")
    return found[0]


def _replaced(content: bytes, store: bytes, settled: bytes) -> bytes:
    """Puts a store in the place of another of its length in a file."""
    at = content.find(store)
    if at < 0:  # in JPEG a store of more than 64 KB lies in pieces
        raise ValueError(f"a C2PA manifest of {len(store)} bytes is too large; shorten the certificate chain")
    after = at + len(store)
    content = content[:at] + settled + content[after:]
    if content.startswith(b"\x89PNG"):
        content = content[:after] + struct.pack(">I", zlib.crc32(content[at - 4 : after])) + content[after + 4 :]
    return content
