"""The request of a definition: from the fields a user gives to a checked RequestSpec."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from webhookcron.core import placeholders
from webhookcron.core.headers import ALWAYS_SECRET, check_header_name, check_headers, secret_names
from webhookcron.core.request_spec import (
    DEFAULT_SUCCESS_STATUSES,
    DEFAULT_TIMEOUT_MS,
    NO_PAYLOAD,
    AuthSpec,
    RequestSpec,
    SigningSecret,
)
from webhookcron.core.signing import generate_secret, parse_secret
from webhookcron.core.success import SuccessRule
from webhookcron.core.targets import TargetPolicy, TargetRefused
from webhookcron.delivery.request import RequestTemplate, check_url_length
from webhookcron.service.auth_fields import auth_from_fields
from webhookcron.service.errors import FieldErrors
from webhookcron.service.secret_values import MASK, unmasked

SECRET_BYTES = 32
"""Of a generated signing secret; Standard Webhooks 1.0 asks for 24 to 64."""

MAX_QUERY_BYTES = 8 * 1024

# RFC 9110 section 8.3.1: type "/" subtype parameters.
_MEDIA_TYPE = re.compile(
    r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+/[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:[ \t]*;[ \t]*[\x20-\x7e\t]*)?"
)


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What a request is judged against.

    policy        the operator's rules about targets.
    random_bytes  the source of generated signing secrets.
    stored        the job's present request: its secrets are kept where the definition leaves them out.
    """

    policy: TargetPolicy
    random_bytes: Callable[[int], bytes]
    stored: RequestSpec | None = None


def request_from_fields(
    values: Mapping[str, Any], context: RequestContext, errors: FieldErrors
) -> RequestSpec | None:
    """The request of `values`; None when something was wrong, which `errors` then tells.

    Fields that are None have their defaults, and so have absent ones, except for secrets: `auth`, `signing_secret`
    and, where `headers` is absent, the secret headers stay as they are stored.
    """
    before = len(errors)
    given = {name: value for name, value in values.items() if value is not None}
    url = _url(given, context, errors)
    headers, secret_headers = _headers(values, given, context.stored, errors)
    query = tuple(given.get("query", {}).items())
    _check_query(query, errors)
    content_type = given.get("content_type")
    _check_content_type(content_type, errors)
    success_statuses = given.get("success_statuses", DEFAULT_SUCCESS_STATUSES)
    _check_success(success_statuses, given.get("success_body"), errors)
    auth = _auth(values, given, context, errors)
    if (
        auth is not None
        and any(name.lower() == "authorization" for name, _ in headers)
        and auth.header_name == ""
    ):
        errors.add("headers", "an Authorization header does not go together with auth: give only one")
    signing = given.get("signing", True)
    secrets = _signing_secrets(given, signing, context, errors)
    if len(errors) > before:
        return None
    spec = RequestSpec(
        url=url,
        method=given.get("method", "POST"),
        headers=headers,
        secret_headers=secret_headers,
        query=query,
        payload=given.get("payload", NO_PAYLOAD),
        content_type=content_type,
        timeout_ms=given.get("timeout_ms", DEFAULT_TIMEOUT_MS),
        success_statuses=success_statuses,
        success_body=given.get("success_body"),
        follow_redirects=given.get("follow_redirects", False),
        auth=auth,
        signing=signing,
        signing_secrets=secrets,
    )
    _check_buildable(spec, errors)
    return spec if len(errors) == before else None


def _url(given: Mapping[str, Any], context: RequestContext, errors: FieldErrors) -> str:
    url: str = given.get("webhook_url", "")
    if not url:
        errors.add("webhook_url", "is needed: the URL to call")
    elif context.stored is None or context.stored.url != url:
        try:
            context.policy.judge_url(url)
        except TargetRefused as error:
            errors.add("webhook_url", error)
    return url


def _headers(
    values: Mapping[str, Any], given: Mapping[str, Any], stored: RequestSpec | None, errors: FieldErrors
) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    named = tuple(dict.fromkeys(given.get("secret_headers", ())))
    for name in named:
        try:
            check_header_name(name)
        except ValueError as error:
            errors.add("secret_headers", error)
    kept = _stored_secret_headers(stored)
    if "headers" not in values and kept:
        lowered = {name.lower() for name in named} | ALWAYS_SECRET
        named += tuple(name for name, _ in kept.values() if name.lower() not in lowered)
        return tuple(kept.values()), named
    secret = secret_names(named) | kept.keys()
    headers: dict[str, str] = {}
    for name, value in given.get("headers", {}).items():
        if name.lower() in secret and value == MASK:
            value = unmasked("headers", value, kept.get(name.lower(), ("", ""))[1], errors)
            # What was secret stays so: showing its mask must not be the way to read it.
            if name.lower() not in secret_names(named):
                named += (name,)
        headers[name] = value
    try:
        check_headers(headers)
        for value in headers.values():
            placeholders.check_text(value)
    except ValueError as error:
        errors.add("headers", error)
    return tuple(headers.items()), named


def _stored_secret_headers(stored: RequestSpec | None) -> dict[str, tuple[str, str]]:
    if stored is None:
        return {}
    secret = secret_names(stored.secret_headers)
    return {name.lower(): (name, value) for name, value in stored.headers if name.lower() in secret}


def _check_query(query: tuple[tuple[str, str], ...], errors: FieldErrors) -> None:
    size = sum(len(name.encode()) + len(value.encode()) + 2 for name, value in query)
    if size > MAX_QUERY_BYTES:
        errors.add("query", f"has {size} bytes; at most {MAX_QUERY_BYTES} are allowed")
        return
    try:
        for _, value in query:
            placeholders.check_text(value)
    except ValueError as error:
        errors.add("query", error)


def _check_content_type(content_type: str | None, errors: FieldErrors) -> None:
    if content_type is not None and not _MEDIA_TYPE.fullmatch(content_type):
        errors.add("content_type", "is no media type such as application/json or text/plain; charset=utf-8")


def _check_buildable(spec: RequestSpec, errors: FieldErrors) -> None:
    """What remains are rules about payload, method and content type together; the sender's own code knows them."""
    try:
        check_url_length(spec)
    except ValueError as error:
        errors.add("query", error)
        return
    try:
        RequestTemplate.of(spec)
    except ValueError as error:
        errors.add("payload", error)


def _check_success(statuses: str, body: Mapping[str, Any] | None, errors: FieldErrors) -> None:
    for field, arguments in (
        ("success_statuses", (statuses,)),
        ("success_body", (DEFAULT_SUCCESS_STATUSES, body)),
    ):
        try:
            SuccessRule.parse(*arguments)
        except ValueError as error:
            errors.add(field, error)


def _auth(
    values: Mapping[str, Any], given: Mapping[str, Any], context: RequestContext, errors: FieldErrors
) -> AuthSpec | None:
    stored = context.stored.auth if context.stored is not None else None
    if "auth" not in values:
        return stored
    return auth_from_fields(given["auth"], stored, context.policy, errors) if "auth" in given else None


def _signing_secrets(
    given: Mapping[str, Any], signing: bool, context: RequestContext, errors: FieldErrors
) -> tuple[SigningSecret, ...]:
    kept = context.stored.signing_secrets if context.stored is not None else ()
    secret = given.get("signing_secret")
    if secret is not None:
        if secret == MASK and kept:
            return kept
        secret = unmasked("signing_secret", secret, None, errors)
        try:
            parse_secret(secret)
        except ValueError as error:
            if "signing_secret" not in errors:
                errors.add("signing_secret", error)
        if kept and kept[0].secret == secret:
            return kept
        return (SigningSecret(secret),)
    if kept or not signing:
        return kept
    return (SigningSecret(generate_secret(context.random_bytes(SECRET_BYTES))),)
