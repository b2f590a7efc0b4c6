"""Access tokens: short-lived JWTs (RFC 7519) that name a user and a login."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import jwt
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

LIFETIME = timedelta(minutes=15)

MAX_TOKEN_LENGTH = 2_000
"""Longer ones cannot be tokens of this platform."""

_ALGORITHM = "HS256"
_ISSUER = "webhookcron"
_CLAIMS = ("sub", "sid", "iat", "exp", "iss")
# Binds derived keys to their use: those that encrypt secrets at rest differ.
_PURPOSE = b"webhookcron access tokens v1"


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a valid access token says."""

    user_id: str
    session_id: str


class AccessTokens:
    """Signs with the first of the operator's secret keys, accepts all of them."""

    def __init__(self, secret_keys: Sequence[str]) -> None:
        self._keys = [_derived(key) for key in secret_keys]

    def issue(self, user_id: str, session_id: str, *, now: datetime) -> tuple[str, datetime]:
        """A token for `LIFETIME`, and when it ends."""
        expires_at = now + LIFETIME
        claims = {
            "iss": _ISSUER,
            "sub": user_id,
            "sid": session_id,
            "iat": int(now.timestamp()),
            "exp": int(expires_at.timestamp()),
        }
        return jwt.encode(claims, self._keys[0], algorithm=_ALGORITHM), expires_at.replace(microsecond=0)

    def read(self, token: str, *, now: datetime) -> TokenClaims | None:
        """What `token` says; None when it was not issued here, was changed, or has ended."""
        if len(token) > MAX_TOKEN_LENGTH:
            return None
        for key in self._keys:
            try:
                claims = jwt.decode(
                    token,
                    key,
                    # The algorithm is ours to choose, never the token's (RFC 8725 section 3.1).
                    algorithms=[_ALGORITHM],
                    issuer=_ISSUER,
                    # Its end is judged by platform time, not by the clock of this machine.
                    options={"require": list(_CLAIMS), "verify_exp": False, "verify_iat": False},
                )
            except jwt.InvalidSignatureError:
                continue
            except jwt.InvalidTokenError:
                return None
            if not isinstance(claims["exp"], int) or claims["exp"] <= now.timestamp():
                return None
            return TokenClaims(str(claims["sub"]), str(claims["sid"]))
        return None


def generate_refresh_secret() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


def _derived(key: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(key.encode())
