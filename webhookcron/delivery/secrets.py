"""Secrets at rest: encrypted with the operator's secret keys, readable with any of them."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MIN_KEY_CHARACTERS = 16
# Binds derived keys to their use: other keys derived from the same setting differ.
_PURPOSE = b"webhookcron secrets at rest v1"


class DecryptionFailed(ValueError):
    """A stored secret cannot be read with any of the present secret keys: put back the key that was in use."""

    def __init__(self) -> None:
        super().__init__(
            "a stored secret cannot be decrypted with the present WEBHOOKCRON_SECRET_KEY; add the key that "
            "was used when it was stored to the end of that list, or store the secret again"
        )


class SecretBox:
    """Encrypts with the first of the given keys and decrypts with all of them; safe to share among threads."""

    def __init__(self, keys: Sequence[str]) -> None:
        """`keys` are the values of WEBHOOKCRON_SECRET_KEY, the present one first.

        Each may be any text of at least 16 characters; the actual key is derived from it by HKDF-SHA256 (RFC
        5869). Raises ValueError when there is none or one is too short.
        """
        if not keys:
            raise ValueError("at least one secret key is needed")
        if any(len(key) < MIN_KEY_CHARACTERS for key in keys):
            raise ValueError(f"a secret key has at least {MIN_KEY_CHARACTERS} characters")
        self._fernet = MultiFernet([Fernet(_derived(key)) for key in keys])

    def encrypt_text(self, text: str) -> str:
        """The text, encrypted and authenticated, as ASCII. The same text gives another result each time."""
        return self._fernet.encrypt(text.encode()).decode("ascii")

    def decrypt_text(self, token: str) -> str:
        """The text that `encrypt_text` was given. Raises DecryptionFailed when no key fits or it was changed."""
        try:
            return self._fernet.decrypt(token.encode()).decode()
        except InvalidToken as error:
            raise DecryptionFailed from error

    def reencrypt_text(self, token: str) -> str:
        """The same secret under the first key, so that older keys can be given up. Raises DecryptionFailed."""
        try:
            return self._fernet.rotate(token.encode()).decode("ascii")
        except InvalidToken as error:
            raise DecryptionFailed from error


def _derived(key: str) -> bytes:
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE)
    return base64.urlsafe_b64encode(derivation.derive(key.encode()))
