import datetime
import io
import pickle
import sys

import numpy as np
import pytest
from PIL import Image

from pipeline.config import RunConfig
from pipeline.credentials import Credentials, certificate_digest, room_for_credentials, verify
from transforms.privacy import foreign_blocks, read_labels
from transforms.profile import Profile
from transforms.source_type import SourceType

pytest.importorskip("c2pa")
from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: E402

ENHANCED = SourceType.ALGORITHMICALLY_ENHANCED
SHA = "5" * 64


def certificate(subject, key, issuer, issuer_key, *, authority=False, years=(-1, 9)):
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    name = [x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Shop"),
                       x509.NameAttribute(x509.NameOID.COMMON_NAME, n)]) for n in (subject, issuer)]  # fmt: skip
    flags = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only",
         "decipher_only"), False,
    )  # fmt: skip
    usage = x509.KeyUsage(digital_signature=not authority, key_cert_sign=authority, crl_sign=authority, **flags)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name[0]).issuer_name(name[1]).public_key(key.public_key())
        .serial_number(7 if authority else 8)
        .not_valid_before(now + datetime.timedelta(days=365 * years[0]))
        .not_valid_after(now + datetime.timedelta(days=365 * years[1]))
        .add_extension(x509.BasicConstraints(authority, None), True)
        .add_extension(usage, True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False)
    )  # fmt: skip
    if not authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.EMAIL_PROTECTION]), True)
    digest = None if isinstance(issuer_key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(issuer_key, digest).public_bytes(serialization.Encoding.PEM)


def key_text(key, password=None):
    cipher = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, cipher)


def store(folder, key, *, years=(-1, 9), password=None):
    """Writes a chain of two certificates and the key; returns what signs with them."""
    above = ec.generate_private_key(ec.SECP256R1())
    chain = certificate("packshots", key, "CA", above, years=years) + certificate(
        "CA", above, "CA", above, authority=True
    )
    (folder / "chain.pem").write_bytes(chain)
    (folder / "signing.key").write_bytes(key_text(key, password))
    return Credentials(str(folder / "chain.pem"), str(folder / "signing.key"))


def picture(container, side=64):
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 255, (side, side, 3), np.uint8)).save(stream, container)
    return stream.getvalue()


KEYS = {
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
}


@pytest.fixture(scope="module")
def credentials(tmp_path_factory):
    return store(tmp_path_factory.mktemp("pki"), KEYS["P-256"]())


@pytest.mark.parametrize("container", ["JPEG", "PNG", "WEBP"])
def test_signing_is_valid_and_repeatable(credentials, container):
    media_type, plain = f"image/{container.lower()}", picture(container)
    signed = credentials.sign(plain, media_type, ENHANCED, SHA)
    assert signed == credentials.sign(plain, media_type, ENHANCED, SHA)
    assert verify(signed, media_type) == []
    assert read_labels(signed) == (ENHANCED, True) and foreign_blocks(signed) == []
    assert 0 < len(signed) - len(plain) < 16_000
    pixels = [np.asarray(Image.open(io.BytesIO(content))) for content in (plain, signed)]
    assert (pixels[0] == pixels[1]).all()


@pytest.mark.parametrize("kind", KEYS)
def test_every_kind_of_key_signs_repeatably(tmp_path, kind):
    credentials = store(tmp_path, KEYS[kind]())
    assert credentials.check() > 0
    signed = [credentials.sign(picture("JPEG"), "image/jpeg", ENHANCED, SHA) for _ in range(2)]
    assert signed[0] == signed[1] and verify(signed[0], "image/jpeg") == []


def test_another_picture_source_or_label_is_signed_otherwise(credentials):
    first = credentials.sign(picture("JPEG"), "image/jpeg", ENHANCED, SHA)
    for plain, term, source in (
        (picture("JPEG", 72), ENHANCED, SHA),
        (picture("JPEG"), SourceType.TRAINED_ALGORITHMIC_MEDIA, SHA),
        (picture("JPEG"), ENHANCED, "6" * 64),
    ):
        signed = credentials.sign(plain, "image/jpeg", term, source)
        assert signed != first and verify(signed, "image/jpeg") == []
        assert term.uri.encode() in signed and source.encode() in signed


def test_a_changed_picture_does_not_verify(credentials):
    signed = bytearray(credentials.sign(picture("JPEG"), "image/jpeg", ENHANCED, SHA))
    signed[-40] ^= 1
    assert verify(bytes(signed), "image/jpeg") == ["assertion.dataHash.mismatch"]
    assert verify(picture("JPEG"), "image/jpeg") != []


def problem(credentials):
    with pytest.raises(ValueError) as caught:
        credentials.check()
    text = str(caught.value)
    assert "BEGIN" not in text and "\n" not in text.strip()
    return text


def test_what_is_wrong_is_said_in_one_line_without_the_key(tmp_path):
    key, other = KEYS["P-256"](), KEYS["P-256"]()
    good = store(tmp_path, key)
    (tmp_path / "other.key").write_bytes(key_text(other))
    (tmp_path / "rubbish.pem").write_bytes(b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n")
    missing = str(tmp_path / "missing.pem")
    assert "--c2pa_certificate=" in problem(Credentials(missing, good.key))
    assert "--c2pa_key=" in problem(Credentials(good.certificate, missing))
    assert "is not the key of" in problem(Credentials(good.certificate, str(tmp_path / "other.key")))
    assert "no private key" in problem(Credentials(good.certificate, str(tmp_path / "rubbish.pem")))
    assert "c2VjcmV0" not in problem(Credentials(good.certificate, str(tmp_path / "rubbish.pem")))
    assert "no PEM certificate" in problem(Credentials(good.key, good.key))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: store(folder, KEYS["P-256"](), password=b"x"), "encrypted"),
        (lambda folder: store(folder, KEYS["P-256"](), years=(-3, -1)), "in force from"),
        (lambda folder: store(folder, rsa.generate_private_key(65537, 2048)), "cannot sign repeatably"),
        (lambda folder: store(folder, ec.generate_private_key(ec.SECP256K1())), "cannot sign repeatably"),
    ],
)
def test_unfit_keys_and_certificates_are_refused(tmp_path, make, says):
    assert says in problem(make(tmp_path))


def test_a_certificate_authority_is_no_signer(tmp_path):
    key = KEYS["P-256"]()
    (tmp_path / "chain.pem").write_bytes(certificate("CA", key, "CA", key, authority=True))
    (tmp_path / "signing.key").write_bytes(key_text(key))
    assert "c2pa_certificate" in problem(Credentials(str(tmp_path / "chain.pem"), str(tmp_path / "signing.key")))


def test_without_the_extra_the_message_says_how_to_get_it(credentials, monkeypatch):
    monkeypatch.setitem(sys.modules, "c2pa", None)
    assert "pip install 'packshot[c2pa]'" in problem(credentials)


def test_what_is_sent_to_workers_holds_no_key(credentials):
    credentials.check()
    with open(credentials.key) as file:
        secret = file.read().splitlines()[1]
    assert secret.encode() not in pickle.dumps(credentials) and secret not in repr(credentials)


def test_byte_limits_leave_room():
    profile = Profile("small", 100, 100, min_bytes=30_000, max_bytes=40_000)
    room = room_for_credentials(profile, 13_000)
    assert (room.min_bytes, room.max_bytes) == (27_000, 27_000)
    assert room_for_credentials(Profile("free", 100, 100), 13_000) == Profile("free", 100, 100)
    with pytest.raises(ValueError, match="allows 40000 bytes a file"):
        room_for_credentials(profile, 40_000)


def test_configuration(credentials, tmp_path):
    base = {"input": "in", "output": "out"}
    plain = RunConfig(**base)
    signed = RunConfig(**base, c2pa_certificate=credentials.certificate, c2pa_key=credentials.key)
    assert plain.credentials() is None and signed.credentials() == credentials
    assert signed.fingerprint("1") != plain.fingerprint("1")
    copy = tmp_path / "copy.pem"
    with open(credentials.certificate, "rb") as file:
        copy.write_bytes(file.read())
    moved = RunConfig(**base, c2pa_certificate=str(copy), c2pa_key="elsewhere.key")
    assert moved.fingerprint("1") == signed.fingerprint("1"), "who signs counts, not where the files lie"
    copy.write_bytes(copy.read_bytes() + b"\n")
    assert moved.fingerprint("1") != signed.fingerprint("1")
    assert certificate_digest(str(copy)) != certificate_digest(credentials.certificate)
    for wrong, says in (
        ({"c2pa_key": "k.pem"}, "go together"),
        ({"c2pa_certificate": "c.pem"}, "go together"),
        ({"c2pa_certificate": "c.pem", "c2pa_key": "-----BEGIN PRIVATE KEY-----"}, "name the file's path"),
    ):
        with pytest.raises(ValueError, match=says) as caught:
            RunConfig(**base, **wrong)
        assert "BEGIN" not in str(caught.value)
