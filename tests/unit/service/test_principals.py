"""What callers may do."""

import pytest

from webhookcron.service.errors import Forbidden
from webhookcron.service.principals import Principal, Scope

ALL = frozenset(Scope)


def principal(role: str, scopes: frozenset[str] = ALL) -> Principal:
    return Principal(user_id="ann", role=role, scopes=scopes)


@pytest.mark.parametrize(
    ("role", "scopes", "allowed"),
    [
        ("admin", ALL, {"read", "write", "trigger"}),
        ("member", ALL, {"read", "write", "trigger"}),
        ("member", frozenset({"trigger"}), {"trigger"}),
        ("member", frozenset[str](), set()),
        ("viewer", ALL, {"read"}),
        ("viewer", frozenset({"write"}), set()),
    ],
)
def test_key_and_role_must_both_allow_it(role: str, scopes: frozenset[str], allowed: set[str]) -> None:
    def may(scope: Scope) -> bool:
        try:
            principal(role, scopes).require(scope)
        except Forbidden:
            return False
        return True

    assert {scope.value for scope in Scope if may(scope)} == allowed


def test_members_address_their_own_resources_only() -> None:
    assert principal("member").owner_filter == "ann"
    assert principal("admin").owner_filter is None
    assert principal("viewer").owner_filter is None
    assert principal("unheard of").owner_filter == "ann"
