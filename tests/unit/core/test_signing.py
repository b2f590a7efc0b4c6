"""Signatures: the published vector, rotation, the reference library, and what a receiver refuses."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from webhookcron.core.signing import (
    SignatureInvalid,
    generate_secret,
    parse_secret,
    sign,
    signature_headers,
    verify,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = generate_secret(b"0123456789abcdef01234567")
MESSAGE_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
TIMESTAMP = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
KEYS = st.binary(min_size=24, max_size=64)


def test_it_signs_the_published_vector() -> None:
    assert sign([SECRET], MESSAGE_ID, TIMESTAMP, BODY) == SIGNATURE


def test_every_secret_signs_and_a_single_space_separates() -> None:
    first, second = sign([OTHER_SECRET, SECRET], MESSAGE_ID, TIMESTAMP, BODY).split(" ")
    assert first == sign([OTHER_SECRET], MESSAGE_ID, TIMESTAMP, BODY)
    assert second == SIGNATURE


def test_the_headers_carry_id_timestamp_and_signature() -> None:
    assert signature_headers([SECRET], MESSAGE_ID, TIMESTAMP, BODY) == (
        ("webhook-id", MESSAGE_ID),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", SIGNATURE),
    )


def test_without_secrets_there_is_no_signature_but_an_id() -> None:
    names = [name for name, _ in signature_headers([], MESSAGE_ID, TIMESTAMP, BODY)]
    assert names == ["webhook-id", "webhook-timestamp"]


def test_a_message_id_with_a_dot_is_refused() -> None:
    with pytest.raises(ValueError, match="dot"):
        sign([SECRET], "a.b", TIMESTAMP, BODY)


@given(document=st.dictionaries(st.text(max_size=10), st.text(max_size=20), max_size=3), key=KEYS)
def test_the_reference_library_verifies_our_signatures(document: dict[str, str], key: bytes) -> None:
    secret = generate_secret(key)
    body = json.dumps(document).encode()
    now = int(datetime.now(UTC).timestamp())
    headers = dict(signature_headers([OTHER_SECRET, secret], "job:1767225600000", now, body))
    assert Webhook(secret).verify(body.decode(), headers) == document


@given(text=st.text(max_size=100), key=KEYS)
def test_our_verification_accepts_the_reference_library_s_signatures(text: str, key: bytes) -> None:
    secret = generate_secret(key)
    signature = Webhook(secret).sign(MESSAGE_ID, datetime.fromtimestamp(TIMESTAMP, UTC), text)
    verify(
        [secret],
        message_id=MESSAGE_ID,
        timestamp=str(TIMESTAMP),
        signature=signature,
        body=text.encode(),
        now=TIMESTAMP,
    )


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "starts with"),
        ("whsec_", "24 to 64 bytes"),
        ("whsec_not base64!", "base64"),
        ("whsec_ünïcode", "base64"),
        ("whsec_" + base64.b64encode(b"x" * 23).decode(), "not 23"),
        ("whsec_" + base64.b64encode(b"x" * 65).decode(), "not 65"),
    ],
)
def test_an_unusable_secret_is_refused_with_its_reason(secret: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_secret(secret)


def test_the_refusal_never_repeats_the_secret() -> None:
    with pytest.raises(ValueError) as caught:
        parse_secret("whsec_supersecret!")
    assert "supersecret" not in str(caught.value)


@pytest.mark.parametrize("length", [24, 32, 64])
def test_a_generated_secret_holds_the_given_bytes(length: int) -> None:
    assert parse_secret(generate_secret(b"r" * length)) == b"r" * length


@pytest.mark.parametrize("length", [23, 65])
def test_a_secret_of_too_few_or_too_many_bytes_is_not_generated(length: int) -> None:
    with pytest.raises(ValueError, match="24 to 64"):
        generate_secret(b"r" * length)


def _verify(**changes: object) -> None:
    arguments: dict[str, object] = {
        "message_id": MESSAGE_ID,
        "timestamp": str(TIMESTAMP),
        "signature": SIGNATURE,
        "body": BODY,
        "now": TIMESTAMP,
    }
    verify([SECRET], **(arguments | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"now": TIMESTAMP + 300},
        {"now": TIMESTAMP - 300},
        {"signature": f"v1,AAAA {SIGNATURE}"},
        {"signature": f"v2,whatever {SIGNATURE} "},
    ],
)
def test_a_genuine_message_is_accepted(changes: dict[str, object]) -> None:
    _verify(**changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"body": BODY + b" "}, "fits"),
        ({"message_id": "msg_other"}, "fits"),
        ({"message_id": "msg.dot"}, "dot"),
        ({"timestamp": str(TIMESTAMP + 1)}, "fits"),
        ({"timestamp": "soon"}, "whole number"),
        ({"now": TIMESTAMP + 301}, "away"),
        ({"now": TIMESTAMP - 301}, "away"),
        ({"signature": ""}, "fits"),
        ({"signature": SIGNATURE.replace("v1", "v2")}, "fits"),
        ({"signature": "v1,ünïcode"}, "fits"),
    ],
)
def test_a_message_that_was_tampered_with_is_refused(changes: dict[str, object], reason: str) -> None:
    with pytest.raises(SignatureInvalid, match=reason):
        _verify(**changes)


def test_a_signature_of_either_rotating_secret_is_accepted() -> None:
    signature = sign([OTHER_SECRET], MESSAGE_ID, TIMESTAMP, BODY)
    verify(
        [SECRET, OTHER_SECRET],
        message_id=MESSAGE_ID,
        timestamp=str(TIMESTAMP),
        signature=signature,
        body=BODY,
        now=TIMESTAMP,
    )
