import logging
import subprocess
import sys

import pytest

from pipeline import redaction
from pipeline.redaction import DiscreetFormatter, flag_names, hide, hide_given, without_secrets


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch):
    monkeypatch.setattr(redaction, "_known", set())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("connect to http://me:hush@store:9000/shop failed", "connect to http://store:9000/shop failed"),
        ("url: /o?uploadType=resumable&upload_id=AbC-1 (x)", "url: /o?uploadType=resumable&upload_id=... (x)"),
        ("https://a/b.jpg?v=2&X-Amz-Signature=0af&w=3", "https://a/b.jpg?v=2&X-Amz-Signature=...&w=3"),
        ("'Authorization': 'Bearer ya29.a0-_x.y'", "'Authorization': 'Bearer ...'"),
        ("AWS4-HMAC-SHA256 Credential=AKIA1/20261123, Signature=9f", "AWS4-HMAC-SHA256 Credential=..., Signature=..."),
        ("{'s3_secret_access_key': 'a/b+c', 'n': 1}", "{'s3_secret_access_key': '...', 'n': 1}"),
        ("--s3_session_token=abc --runner=X", "--s3_session_token=... --runner=X"),
        ("key AKIAIOSFODNN7EXAMPLE is unknown", "key ... is unknown"),
        ("-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY----- rest", "... rest"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMII", "..."),
    ],
)
def test_what_looks_like_a_credential_is_blanked(text, expected):
    assert without_secrets(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "could not write 's3://shop/out/LATEST' after 4 attempts: ClientError: SlowDown",
        "the id column 'key' is missing; the columns there are: sku, photo",
        "https://shop/a.jpg?v=2&width=300",
        "SHA-256 of model: 0f5ac3; --attribute_columns=token_count",
    ],
)
def test_other_text_stays(text):
    assert without_secrets(text) == text


@pytest.mark.parametrize("joined", [True, False])
def test_given_credentials_are_blanked_wherever_they_stand(joined):
    flags = {"--s3_secret_access_key": "plain-words", "--s3_session_token": "more-words", "--runner": "DirectRunner"}
    given = [f"{k}={v}" for k, v in flags.items()] if joined else [part for pair in flags.items() for part in pair]
    hide_given(given, {"AWS_SECRET_ACCESS_KEY": "from-outside"})
    text = "plain-words, more-words and from-outside by DirectRunner"
    assert without_secrets(text) == "..., ... and ... by DirectRunner"


def test_a_value_too_short_to_tell_from_a_word_is_left():
    hide(["a", "", None])
    assert without_secrets("a cat") == "a cat"


def test_unknown_flags_are_named_without_their_values():
    given = ["--s3_secret_acces_key=hush", "--s3_key", "hush", "--verbos", "--x=1", "stray"]
    assert flag_names(given) == "--s3_secret_acces_key --s3_key --verbos --x stray"


def test_log_records_and_their_traces_are_blanked():
    hide(["plain-words"])
    try:
        raise RuntimeError("denied to plain-words")
    except RuntimeError as error:
        trace = (type(error), error, error.__traceback__)
    record = logging.LogRecord("beam", logging.INFO, "f.py", 1, "options: %s", ({"k": "plain-words"},), trace)
    text = DiscreetFormatter("%(message)s").format(record)
    assert "options: {'k': '...'}" in text and "denied to ..." in text and "plain-words" not in text


def test_the_command_sets_up_logging_before_beam_can():
    """Where Beam's cloud extra is missing its import logs, upon which Python sets up logging without any redaction."""
    program = (
        "import sys; sys.modules['apitools'] = None\n"
        "from pipeline.cli import main\n"
        "status = main(['report', '--output', 'nothing here'])\n"
        "import logging, apache_beam.io.gcp.internal.clients.bigquery\n"
        "logging.getLogger('store').warning('refused: password=hush-hush')\n"
        "sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "refused: password=..." in done.stderr and "hush" not in done.stderr
    assert "apitools" not in done.stderr
