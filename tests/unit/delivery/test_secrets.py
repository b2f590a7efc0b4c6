"""Secrets at rest: rotation of keys, and what happens without them."""

from __future__ import annotations

import pytest

from webhookcron.delivery.secrets import DecryptionFailed, SecretBox

OLD = "an old secret key"
NEW = "ein neuer Schlüssel"


def test_what_was_encrypted_is_decrypted() -> None:
    box = SecretBox([OLD])
    token = box.encrypt_text("grün")
    assert token.isascii()
    assert "grün" not in token
    assert box.decrypt_text(token) == "grün"


def test_the_same_text_is_encrypted_anew_each_time() -> None:
    box = SecretBox([OLD])
    assert box.encrypt_text("a") != box.encrypt_text("a")


def test_older_keys_still_decrypt_and_the_first_encrypts() -> None:
    rotated = SecretBox([NEW, OLD])
    assert rotated.decrypt_text(SecretBox([OLD]).encrypt_text("a")) == "a"
    assert SecretBox([NEW]).decrypt_text(rotated.encrypt_text("a")) == "a"


def test_reencrypting_makes_the_older_key_dispensable() -> None:
    token = SecretBox([NEW, OLD]).reencrypt_text(SecretBox([OLD]).encrypt_text("a"))
    assert SecretBox([NEW]).decrypt_text(token) == "a"


def test_without_the_key_the_error_says_what_to_do() -> None:
    token = SecretBox([OLD]).encrypt_text("a")
    with pytest.raises(DecryptionFailed, match="WEBHOOKCRON_SECRET_KEY"):
        SecretBox([NEW]).decrypt_text(token)
    with pytest.raises(DecryptionFailed):
        SecretBox([NEW]).reencrypt_text(token)


@pytest.mark.parametrize("token", ["", "plain text", "gAAAAA", "ünïcode"])
def test_what_is_no_token_cannot_be_decrypted(token: str) -> None:
    with pytest.raises(DecryptionFailed):
        SecretBox([OLD]).decrypt_text(token)


def test_a_changed_token_cannot_be_decrypted() -> None:
    token = SecretBox([OLD]).encrypt_text("a")
    changed = token[:-5] + ("A" if token[-5] != "A" else "B") + token[-4:]
    with pytest.raises(DecryptionFailed):
        SecretBox([OLD]).decrypt_text(changed)


@pytest.mark.parametrize("keys", [[], ["fifteen letters"], ["long enough for this", "short"]])
def test_missing_and_short_keys_are_refused(keys: list[str]) -> None:
    with pytest.raises(ValueError, match="secret key"):
        SecretBox(keys)
