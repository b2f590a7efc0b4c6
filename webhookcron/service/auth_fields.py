"""The credentials of a definition: from the flat object a user gives to a checked AuthSpec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webhookcron.core.headers import check_header_name, check_header_value
from webhookcron.core.request_spec import AuthSpec, AuthType
from webhookcron.core.targets import TargetPolicy, TargetRefused
from webhookcron.service.errors import FieldErrors
from webhookcron.service.secret_values import unmasked

SECRET_FIELDS = frozenset({"password", "token", "header_value", "client_secret"})

REQUIRED_FIELDS = {
    AuthType.BASIC: ("username", "password"),
    AuthType.BEARER: ("token",),
    AuthType.HEADER: ("header_name", "header_value"),
    AuthType.OAUTH2: ("token_url", "client_id", "client_secret"),
}

OPTIONAL_FIELDS = {AuthType.OAUTH2: ("scope", "audience")}


def auth_from_fields(
    given: Mapping[str, Any], stored: AuthSpec | None, policy: TargetPolicy, errors: FieldErrors
) -> AuthSpec | None:
    """The credentials of the `auth` object; None when something was wrong, which `errors` then tells.

    A secret that is left out, or given as the mask, is the stored one, as long as the type stays the same.
    """
    type_ = AuthType(given["type"])
    kept = stored if stored is not None and stored.type is type_ else None
    problems = FieldErrors()
    values: dict[str, str] = {}
    present = {name: value for name, value in given.items() if value is not None and name != "type"}
    allowed = (*REQUIRED_FIELDS[type_], *OPTIONAL_FIELDS.get(type_, ()))
    for name in sorted(present.keys() - set(allowed)):
        problems.add(f"auth.{name}", f"does not belong to auth of type {type_.value}")
    for name in allowed:
        stored_value = getattr(kept, name) if kept is not None else None
        if name in SECRET_FIELDS:
            value = present.get(name, stored_value or "")
            value = unmasked(f"auth.{name}", value, stored_value, problems)
        else:
            value = present.get(name, "")
        if not value and name in REQUIRED_FIELDS[type_] and not (name == "password" and name in present):
            problems.add(f"auth.{name}", f"is needed for auth of type {type_.value}")
        elif value:
            values[name] = value
    if not problems:
        _check(type_, values, kept, policy, problems)
    errors.merge(problems)
    return None if problems else AuthSpec(type=type_, **values)


def _check(
    type_: AuthType,
    values: Mapping[str, str],
    stored: AuthSpec | None,
    policy: TargetPolicy,
    errors: FieldErrors,
) -> None:
    if type_ is AuthType.BASIC and ":" in values["username"]:
        # RFC 7617 section 2: the first colon ends the user name.
        errors.add("auth.username", "must not hold a colon")
    if type_ is AuthType.BEARER:
        _check_value("auth.token", "Authorization", values["token"], errors)
    if type_ is AuthType.HEADER:
        try:
            check_header_name(values["header_name"])
        except ValueError as error:
            errors.add("auth.header_name", error)
        else:
            _check_value("auth.header_value", values["header_name"], values["header_value"], errors)
    if type_ is AuthType.OAUTH2 and (stored is None or stored.token_url != values["token_url"]):
        try:
            policy.judge_url(values["token_url"])
        except TargetRefused as error:
            errors.add("auth.token_url", error)


def _check_value(field: str, header: str, value: str, errors: FieldErrors) -> None:
    try:
        check_header_value(header, value)
    except ValueError as error:
        errors.add(field, error)
