"""Signatures of Standard Webhooks 1.0: secrets, headers, and the receiver's side of it.

The signed bytes are `<webhook-id>.<webhook-timestamp>.<body>`, the key is the base64-decoded part of the
`whsec_…` secret, and the signature is `v1,` followed by the base64 of HMAC-SHA256
(https://github.com/standard-webhooks/standard-webhooks, "Signature scheme").
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from functools import lru_cache

SECRET_PREFIX = "whsec_"
MIN_SECRET_BYTES = 24
MAX_SECRET_BYTES = 64
# What a receiver allows between its clock and the timestamp, in seconds (the specification's advice).
TIMESTAMP_TOLERANCE_SECONDS = 300

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"


class SignatureInvalid(ValueError):
    """The message must not be trusted: its signature, its timestamp or one of the headers is wrong."""


def generate_secret(random_bytes: bytes) -> str:
    """A new `whsec_…` secret made of the given random bytes.

    Raises ValueError unless there are 24 to 64 of them; `secrets.token_bytes(32)` is a fine source.
    """
    if not MIN_SECRET_BYTES <= len(random_bytes) <= MAX_SECRET_BYTES:
        raise ValueError(f"a signing secret is made of {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} random bytes")
    return SECRET_PREFIX + base64.b64encode(random_bytes).decode("ascii")


@lru_cache(maxsize=4096)
def parse_secret(secret: str) -> bytes:
    """The key bytes of a `whsec_…` secret.

    Raises ValueError when the prefix is missing, the rest is not base64, or the key is not 24 to 64 bytes
    long; its message is fit for a user and never repeats the secret.
    """
    if not secret.startswith(SECRET_PREFIX):
        raise ValueError(f"a signing secret starts with {SECRET_PREFIX!r}")
    encoded = secret[len(SECRET_PREFIX) :]
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"what follows {SECRET_PREFIX!r} in a signing secret must be base64") from error
    if not MIN_SECRET_BYTES <= len(key) <= MAX_SECRET_BYTES:
        raise ValueError(
            f"a signing secret holds {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} bytes "
            f"after decoding, not {len(key)}"
        )
    return key


def sign(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`: one `v1` signature per secret, separated by single spaces.

    `timestamp` is in whole Unix seconds; `body` must be exactly the bytes that are sent. Raises ValueError
    for a malformed secret and for a message id that holds a dot (it would make the signed text ambiguous).
    """
    if "." in message_id:
        raise ValueError("a message id must not hold a dot")
    signed = b"%b.%d.%b" % (message_id.encode("ascii"), timestamp, body)
    return " ".join(
        "v1," + base64.b64encode(hmac.digest(parse_secret(secret), signed, hashlib.sha256)).decode("ascii")
        for secret in secrets
    )


def signature_headers(
    secrets: Sequence[str], message_id: str, timestamp: int, body: bytes
) -> tuple[tuple[str, str], ...]:
    """The three headers of a signed call. Without any secret, id and timestamp alone."""
    headers = ((ID_HEADER, message_id), (TIMESTAMP_HEADER, str(timestamp)))
    if not secrets:
        return headers
    return (*headers, (SIGNATURE_HEADER, sign(secrets, message_id, timestamp, body)))


def verify(
    secrets: Sequence[str],
    *,
    message_id: str,
    timestamp: str,
    signature: str,
    body: bytes,
    now: int,
    tolerance_seconds: int = TIMESTAMP_TOLERANCE_SECONDS,
) -> None:
    """Check a received call as a receiver should; return when any signature fits any secret.

    `message_id`, `timestamp` and `signature` are the header values as received; `now` is in Unix seconds.
    Raises SignatureInvalid when the timestamp is no number or too far from `now`, or when no `v1` signature
    fits. Signatures are compared in constant time; versions other than `v1` are passed over.
    """
    try:
        sent_at = int(timestamp)
    except ValueError as error:
        raise SignatureInvalid(f"{TIMESTAMP_HEADER} is not a whole number") from error
    if abs(now - sent_at) > tolerance_seconds:
        raise SignatureInvalid(f"{TIMESTAMP_HEADER} is more than {tolerance_seconds} s away from the clock")
    try:
        expected = [entry.encode("ascii") for entry in sign(secrets, message_id, sent_at, body).split()]
    except ValueError as error:
        raise SignatureInvalid(str(error)) from error
    fits = False
    for given in signature.split(" "):
        given_bytes = given.encode("utf-8", "surrogateescape")
        for own in expected:
            fits |= hmac.compare_digest(given_bytes, own)
    if not fits:
        raise SignatureInvalid(f"no signature in {SIGNATURE_HEADER} fits")
