"""Who is signed in to the dashboard: sealed sessions, kept by the browser as a cookie and by nobody else.

A session carries the credential it was opened with, which is looked up with every request: it ends at once when the
credential is revoked. It also ends by itself, soon when it is not used and after a day at the latest.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from webhookcron.core.executions import from_ms, to_ms

IDLE_FOR = timedelta(hours=2)
"""A session that is not used for so long is over."""

LASTS_FOR = timedelta(hours=24)
"""No session is older, however busy it is."""

RENEWED_EVERY = timedelta(minutes=1)
"""How often a session in use is written anew: not with every request."""

MAX_SEALED_LENGTH = 3_800
"""Browsers keep cookies of 4,096 bytes, name and attributes included (RFC 6265 section 6.1)."""

# Binds the derived key to its use: other keys derived from the same setting differ.
_PURPOSE = b"webhookcron dashboard sessions v1"

SecretKind = Literal["signing", "key", "password"]
CredentialKind = Literal["key", "account", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What became of the last thing that was done."""

    text: str
    kind: Literal["good", "bad"] = "good"
    secret: str = field(default="", repr=False)
    """Something that is shown this once; empty = nothing."""
    secret_is: SecretKind = "signing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What the platform knows about a browser.

    kind        what `credential` is: an API key, the id of a login, or nothing (not signed in yet).
    csrf_token  what forms and scripts of this session have to send along.
    notice      what the next page tells, once; None = nothing.
    opened_at, seen_at  platform time; they bound its life.
    """

    kind: CredentialKind = "none"
    credential: str = ""
    csrf_token: str
    opened_at: datetime
    seen_at: datetime
    notice: Notice | None = None

    def over(self, now: datetime) -> bool:
        """Whether it has ended by itself at `now`."""
        return now - self.opened_at >= LASTS_FOR or now - self.seen_at >= IDLE_FOR

    def used(self, now: datetime) -> Session:
        """The session after a use at `now`; the same object when that need not be written down yet."""
        return self if now - self.seen_at < RENEWED_EVERY else replace(self, seen_at=now)

    def accepts(self, csrf_token: str | None) -> bool:
        """Whether `csrf_token` is that of this session."""
        return hmac.compare_digest(self.csrf_token.encode(), (csrf_token or "").encode())


def new_session(now: datetime, kind: CredentialKind = "none", credential: str = "") -> Session:
    """A session that starts at `now`, with a CSRF token of its own."""
    return Session(
        kind=kind, credential=credential, csrf_token=secrets.token_urlsafe(24), opened_at=now, seen_at=now
    )


class SessionSeal:
    """Makes cookie values of sessions, unreadable and unchangeable without the secret keys. Thread-safe."""

    def __init__(self, secret_keys: Sequence[str]) -> None:
        """The first key seals, all open; the actual keys are derived by HKDF-SHA256 (RFC 5869)."""
        self._fernet = MultiFernet([Fernet(_derived(key)) for key in secret_keys])

    def seal(self, session: Session) -> str:
        """The cookie value. Raises ValueError when it would be too long for a cookie."""
        content = {
            "kind": session.kind,
            "credential": session.credential,
            "csrf": session.csrf_token,
            "opened": to_ms(session.opened_at),
            "seen": to_ms(session.seen_at),
            "notice": None if session.notice is None else asdict(session.notice),
        }
        sealed = self._fernet.encrypt(json.dumps(content).encode()).decode("ascii")
        if len(sealed) > MAX_SEALED_LENGTH:
            raise ValueError("the credential is too long for a session")
        return sealed

    def open(self, sealed: str | None, now: datetime) -> Session | None:
        """The session of a cookie value; None when it is none of ours, was changed, or is over at `now`."""
        if not sealed or len(sealed) > MAX_SEALED_LENGTH:
            return None
        try:
            content = json.loads(self._fernet.decrypt(sealed.encode()))
            session = Session(
                kind=content["kind"],
                credential=content["credential"],
                csrf_token=content["csrf"],
                opened_at=from_ms(content["opened"]),
                seen_at=from_ms(content["seen"]),
                notice=None if content["notice"] is None else Notice(**content["notice"]),
            )
        except (InvalidToken, UnicodeEncodeError):
            return None
        return None if session.over(now) else session


def _derived(key: str) -> bytes:
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE)
    return base64.urlsafe_b64encode(derivation.derive(key.encode()))
