"""Secrets in definitions: shown as a mask, and kept when the mask comes back."""

from __future__ import annotations

from webhookcron.service.errors import FieldErrors

MASK = "***"
"""What answers show in the place of a secret."""


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
