"""Secrets in definitions: shown as a mask, kept when the mask comes back, and rotated."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from webhookcron.core.request_spec import SigningSecret
from webhookcron.service.errors import FieldErrors

MASK = "***"
"""What answers show in the place of a secret."""


MAX_OLD_SECRETS = 4
"""Each secret adds a signature to every call; the oldest of more are dropped."""


def rotated_secrets(
    present: Sequence[SigningSecret], new: str, *, now: datetime, expire_old_at: datetime
) -> tuple[SigningSecret, ...]:
    """The signing secrets after a rotation: `new` first, then the old ones that still sign, until `expire_old_at`.

    One that was to expire earlier still does.
    """
    old = []
    for secret in present:
        expires_at = expire_old_at if secret.expires_at is None else min(secret.expires_at, expire_old_at)
        if expires_at > now:
            old.append(SigningSecret(secret.secret, expires_at))
    return (SigningSecret(new), *old[:MAX_OLD_SECRETS])


def unmasked(field: str, given: str, stored: str | None, errors: FieldErrors) -> str:
    """The value that `given` stands for: the stored secret where it is the mask, else itself.

    A mask without a stored secret is noted in `errors`.
    """
    if given != MASK:
        return given
    if not stored:
        errors.add(
            field, f"{MASK!r} stands for a stored secret, and there is none yet: give the secret itself"
        )
        return ""
    return stored
