"""Requests in job documents ↔ requests. Secrets are sealed in documents and plain in requests."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol

from webhookcron.core.errors import SecretUnreadable
from webhookcron.core.jobs import host_of
from webhookcron.core.request_spec import (
    NO_PAYLOAD,
    AuthSpec,
    AuthType,
    NoPayload,
    RequestSpec,
    SigningSecret,
)
from webhookcron.storage.client import Document
from webhookcron.storage.fields import MOST_MS, integer, text


class Sealer(Protocol):
    """Encrypts and decrypts what must not lie readable in MongoDB; ValueError for what no present key opens."""

    def encrypt_text(self, text: str, /) -> str: ...

    def decrypt_text(self, sealed: str, /) -> str: ...


REQUEST_FIELDS = (
    "webhookUrl", "method", "headers", "secretHeaders", "sealedHeaders", "query", "payloadJson", "contentType",
    "timeoutMs", "successStatuses", "successBodyJson", "followRedirects", "auth", "signing", "signingSecrets",
)  # fmt: skip

_SEALED_AUTH_FIELDS = ("password", "token", "header_value", "client_secret")

_SECRET_OF = {
    AuthType.BASIC: "password",
    AuthType.BEARER: "token",
    AuthType.HEADER: "header_value",
    AuthType.OAUTH2: "client_secret",
}

SEALED = "***"
"""Stands for a secret that was not opened."""


def request_fields(request: RequestSpec, sealer: Sealer) -> Document:
    """The fields of a request; None for a field that has to be removed."""
    secret_names = {name.lower() for name in request.secret_headers} | {"authorization", "cookie"}
    secret_values = {name: value for name, value in request.headers if name.lower() in secret_names}
    return {
        "webhookUrl": request.url,
        "host": host_of(request.url),
        "method": request.method,
        "headers": [[name, None if name in secret_values else value] for name, value in request.headers]
        or None,
        "secretHeaders": list(request.secret_headers) or None,
        "sealedHeaders": sealer.encrypt_text(json.dumps(secret_values)) if secret_values else None,
        "query": [list(pair) for pair in request.query] or None,
        # JSON text: keys of a payload may be what MongoDB reads as operators, numbers longer than its integers.
        "payloadJson": None if isinstance(request.payload, NoPayload) else json.dumps(request.payload),
        "contentType": request.content_type,
        "timeoutMs": request.timeout_ms,
        "successStatuses": request.success_statuses,
        "successBodyJson": None if request.success_body is None else json.dumps(request.success_body),
        "followRedirects": request.follow_redirects,
        "auth": None if request.auth is None else _auth_document(request.auth, sealer),
        "signing": request.signing,
        "signingSecrets": [_signing_secret_document(secret, sealer) for secret in request.signing_secrets]
        or None,
    }


def request_from_document(document: Document, sealer: Sealer | None) -> RequestSpec:
    """The request that a job document holds; SecretUnreadable when a secret of it cannot be opened.

    Without a `sealer` secrets stay sealed: each is `SEALED` then. Raises KeyError, ValueError or TypeError for what
    is no request.
    """
    get = document.get

    def opened(sealed: str) -> str:
        if sealer is None:
            return SEALED
        try:
            return sealer.decrypt_text(sealed)
        except ValueError as error:
            raise SecretUnreadable(document.get("_id"), str(error)) from error

    secrets: dict[str, str] = {}
    if sealer is not None and get("sealedHeaders"):
        secrets = json.loads(opened(document["sealedHeaders"]))
    auth = get("auth")
    return RequestSpec(
        url=text(document, "webhookUrl"),
        method=document["method"],
        headers=tuple(
            (name, (SEALED if sealer is None else secrets[name]) if value is None else value)
            for name, value in get("headers", ())
        ),
        secret_headers=tuple(get("secretHeaders", ())),
        query=tuple((name, value) for name, value in get("query", ())),
        payload=NO_PAYLOAD if get("payloadJson") is None else json.loads(document["payloadJson"]),
        content_type=get("contentType"),
        timeout_ms=integer(document, "timeoutMs", most=MOST_MS),
        success_statuses=document["successStatuses"],
        success_body=None if get("successBodyJson") is None else json.loads(document["successBodyJson"]),
        follow_redirects=document["followRedirects"],
        auth=None if auth is None else _auth_from_document(auth, None if sealer is None else opened),
        signing=document["signing"],
        signing_secrets=tuple(
            SigningSecret(opened(entry["sealed"]), entry.get("expiresAt"))
            for entry in get("signingSecrets", ())
        ),
    )


def _auth_document(auth: AuthSpec, sealer: Sealer) -> Document:
    sealed = {name: getattr(auth, name) for name in _SEALED_AUTH_FIELDS if getattr(auth, name)}
    document: Document = {
        "type": auth.type.value,
        "username": auth.username or None,
        "headerName": auth.header_name or None,
        "tokenUrl": auth.token_url or None,
        "clientId": auth.client_id or None,
        "scope": auth.scope,
        "audience": auth.audience,
        "sealed": sealer.encrypt_text(json.dumps(sealed)) if sealed else None,
    }
    return {key: value for key, value in document.items() if value is not None}


def _auth_from_document(document: Document, opened: Callable[[str], str] | None) -> AuthSpec:
    get = document.get
    sealed: dict[str, Any] = {}
    if get("sealed"):
        secret = _SECRET_OF.get(AuthType(document["type"]))
        sealed = json.loads(opened(document["sealed"])) if opened else {secret: SEALED} if secret else {}
    return AuthSpec(
        type=AuthType(document["type"]),
        username=get("username", ""),
        header_name=get("headerName", ""),
        token_url=get("tokenUrl", ""),
        client_id=get("clientId", ""),
        scope=get("scope"),
        audience=get("audience"),
        **sealed,
    )


def _signing_secret_document(secret: SigningSecret, sealer: Sealer) -> Document:
    document: Document = {"sealed": sealer.encrypt_text(secret.secret)}
    if secret.expires_at is not None:
        document["expiresAt"] = secret.expires_at
    return document
