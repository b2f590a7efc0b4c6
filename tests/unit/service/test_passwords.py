"""Passwords and their hashes."""

from __future__ import annotations

import pytest

from webhookcron.service.passwords import Passwords, generate_password, problem_with


@pytest.fixture(scope="module")
def passwords() -> Passwords:
    return Passwords()


def test_a_hash_fits_its_password_only(passwords: Passwords) -> None:
    stored = passwords.hash("correct horse battery")
    assert stored.startswith("$argon2id$")
    assert "correct" not in stored
    assert passwords.fits(stored, "correct horse battery")
    assert not passwords.fits(stored, "correct horse batterz")
    assert stored != passwords.hash("correct horse battery")


@pytest.mark.parametrize("stored", [None, "", "not a hash", "$argon2id$v=19$m=8,t=1,p=1$YQ$YQ"])
def test_nothing_fits_what_is_no_hash(passwords: Passwords, stored: str | None) -> None:
    assert not passwords.fits(stored, "correct horse battery")


def test_an_account_that_does_not_exist_costs_a_check_like_any_other(passwords: Passwords) -> None:
    checked: list[str] = []

    class Counting:
        def verify(self, stored: str, password: str) -> bool:
            checked.append(stored.split("$")[3])
            return passwords._hasher.verify(stored, password)

    other = Passwords()
    known = other.hash("correct horse battery")
    other.fits(None, "x")  # The hash of nobody is made once.
    other._hasher = Counting()  # type: ignore[assignment]
    other.fits(known, "wrong password")
    other.fits(None, "wrong password")
    assert checked == ["m=19456,t=2,p=1"] * 2


def test_hashes_of_other_parameters_are_outdated(passwords: Passwords) -> None:
    from argon2 import PasswordHasher

    assert passwords.outdated(PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash("x"))
    assert not passwords.outdated(passwords.hash("x"))


@pytest.mark.parametrize(
    ("password", "fine"),
    [
        ("correct horse battery", True),
        ("x1y2z3w4v5", True),
        ("пароль из слов", True),
        ("short", False),
        ("x" * 257, False),
        ("aaaaaaaaaaaa", False),
        ("Ann@Example.com", False),
    ],
)
def test_new_passwords_are_long_enough_and_not_silly(password: str, fine: bool) -> None:
    assert (problem_with(password, "ann@example.com") is None) == fine


def test_generated_passwords_will_do_and_differ() -> None:
    first, second = generate_password(), generate_password()
    assert first != second
    assert problem_with(first, "") is None
