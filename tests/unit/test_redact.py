"""What is blacked out before anything leaves, and what is not."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from autodata.tracing.config import TracingConfig
from autodata.tracing.redact import REDACTED, Redactor

SHAPED = [
    "sk-abcdefghijklmnopqrstuv",
    "sk-proj-AbC_dEfGhIjKlMnOpQr",
    "lsv2_pt_0123456789abcdef0123456789abcdef_0123456789",
    "hf_AbCdEfGhIjKlMnOpQrStUv",
    "ghp_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789",
    "github_pat_11ABCDEFG0123456789_abcdefghij",
    "xoxb-123456789012-abcdefghijkl",
    "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "AKIAIOSFODNN7EXAMPLE",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmN",
    "Bearer abcdefghijklmnop",
    "bearer abcdefghijklmnop",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIBOgIBAAJBAK\nx\n-----END RSA PRIVATE KEY-----",
]


@pytest.mark.parametrize("key", SHAPED)
def test_what_looks_like_a_key(key: str) -> None:
    assert Redactor().text(f"before {key} after") == f"before {REDACTED} after"


def test_tokens_and_private_keys_among_what_looks_like_them() -> None:
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmN"
    assert Redactor().text(f"host.x-{token}.more") == f"host.x-{REDACTED}.more"
    assert Redactor().text(f"eyJshort.{token}") == f"eyJshort.{REDACTED}"
    key = "-----BEGIN PRIVATE KEY-----\nabc\n-----END PRIVATE KEY-----"
    assert Redactor().text(f"{key}, {key} -----BEGIN PRIVATE KEY-----") == (
        f"{REDACTED}, {REDACTED} -----BEGIN PRIVATE KEY-----"
    )


@pytest.mark.parametrize(
    "text",
    [
        "a risk-averse-and-slow-moving valve",
        "task-force-of-the-second-feeder",
        "the bearer of news",
        "see https://example.com/a:b and mailto a@b.example",
        "eyJ is how they begin",
        "PRIVATE KEY is a word",
    ],
)
def test_what_only_resembles_one_stays(text: str) -> None:
    assert Redactor().text(text) == text


def test_credentials_in_an_address() -> None:
    assert Redactor().text("http://ann:secret@host/v1") == f"http://{REDACTED}@host/v1"


def test_values_of_the_variables_of_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATION", "valve42")  # named by api_key_env, however it is called
    monkeypatch.setenv("SOME_API_KEY", "long-enough-to-count")
    monkeypatch.setenv("SOME_TOKEN", "short")
    monkeypatch.setenv("KEY_FILE_KEY", "/home/ann/keys/first.pem")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=collector-secret-1,other=collector-secret-2")
    redactor = Redactor(key_variables=["STATION"])
    for value in ("valve42", "long-enough-to-count", "collector-secret-1", "collector-secret-2"):
        assert redactor.text(f"<{value}>") == f"<{REDACTED}>"
    for text in ("short", "/home/ann/keys/first.pem", "x-team"):
        assert redactor.text(text) == text
    assert "valve42" in Redactor().text("valve42")


def test_a_key_within_a_key_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONE_KEY", "abcdefghijklmnop")
    monkeypatch.setenv("TWO_KEY", "abcdefghijklmnop-and-more")
    assert Redactor().text("abcdefghijklmnop-and-more") == REDACTED


def test_patterns_of_the_configuration() -> None:
    redactor = Redactor([r"\b\d{4}-\d{2}\b", "(?i)project falcon"])
    assert redactor.text("patient 4711-22 of PROJECT Falcon") == f"patient {REDACTED} of {REDACTED}"


def test_values_are_cleaned_at_any_depth() -> None:
    key = "sk-abcdefghijklmnopqrstuv"
    value = {"a": [{key: (key, 1, None, True, 0.5)}], "b": "fine"}
    assert Redactor().clean(value) == {"a": [{REDACTED: [REDACTED, 1, None, True, 0.5]}], "b": "fine"}
    assert value["a"] == [{key: (key, 1, None, True, 0.5)}]


@pytest.mark.parametrize("pattern", ["(", "a*", "", "x|"])
def test_a_pattern_that_cannot_be_meant_is_refused(pattern: str) -> None:
    with pytest.raises(ValidationError, match=r"no regular expression|matches nothing at all"):
        TracingConfig(redact=(pattern,))


@pytest.mark.parametrize("url", ["collector:4318", "http://ann:secret@host/v1/traces", "http://host/v1/traces?key=1"])
def test_an_address_holds_no_credentials(url: str) -> None:
    with pytest.raises(ValidationError, match=r"https?://|credentials"):
        TracingConfig(otel_endpoint=url)
