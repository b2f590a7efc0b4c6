"""A request that a command makes, as fields of a job. What curl's and wget's options have in common ends here."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from webhookcron.core.headers import ALWAYS_SECRET, check_header_name
from webhookcron.core.request_spec import MAX_TIMEOUT_MS, METHODS, MIN_TIMEOUT_MS
from webhookcron.core.retries import MAX_DELAY_MS, MAX_RETRIES
from webhookcron.imports.errors import NotImportable
from webhookcron.manifests.references import escaped

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"

_SECRET_NAME = re.compile(r"(?i)token|secret|passw|api[-_]?key|auth|session|credential|signature")
# Browsers copy them along with what somebody asked for; the platform's own connection has its own.
_OF_THE_CONNECTION = frozenset({"connection", "content-length", "keep-alive", "te"})
# While a command is taken apart, a reference is a name between two private characters: its `${…}` would be syntax.
_OPEN, _CLOSE = "\ue000", "\ue001"
_MARKED = re.compile(f"{_OPEN}([A-Za-z0-9_]+){_CLOSE}")

Reference = Callable[[str, str], str]
"""`reference(what, value)`: the marked reference that stands for a secret value; `what` makes its name."""


@dataclass(slots=True)
class ImportedRequest:
    """What a command asks for, before it is turned into fields."""

    url: str = ""
    method: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    """By the name as written; a later one replaces an earlier one that differs by case only."""
    body: str | None = None
    body_type: str | None = None
    """The content type that the tool would send with `body`, unless a header names another."""
    user: str | None = None
    """`name:password` of basic authentication."""
    bearer: str | None = None
    timeout_seconds: float | None = None
    retries: int | None = None
    retry_delay_seconds: float | None = None
    follow_redirects: bool = False
    notes: list[str] = field(default_factory=list)
    """What is done differently, a sentence each."""

    def set_header(self, name: str, value: str) -> None:
        """Set a header, whatever the case in which it was set before."""
        for present in [other for other in self.headers if other.lower() == name.lower()]:
            del self.headers[present]
        self.headers[name] = value

    def take_header(self, name: str) -> str | None:
        """The value of a header, which is removed; None when there is none."""
        for present in list(self.headers):
            if present.lower() == name:
                return self.headers.pop(present)
        return None


def request_fields(request: ImportedRequest, reference: Reference) -> dict[str, Any]:
    """The fields of a job that makes this request; secrets are references. Raises NotImportable."""
    fields: dict[str, Any] = {"webhookUrl": _url(request)}
    method = (request.method or ("GET" if request.body is None else "POST")).upper()
    if method not in METHODS:
        raise NotImportable(f"the method {method} cannot be used; known are {', '.join(METHODS)}")
    if method != "POST":
        fields["method"] = method
    auth = _auth(request, reference)
    content_type = request.take_header("content-type") or request.body_type
    headers, secret = _headers(request, reference)
    if headers:
        fields["headers"] = headers
    if secret:
        fields["secretHeaders"] = secret
    fields |= _payload(request, method, content_type)
    if auth is not None:
        fields["auth"] = auth
    fields |= _limits(request)
    if request.follow_redirects:
        fields["followRedirects"] = True
    return fields


def _url(request: ImportedRequest) -> str:
    url = request.url
    if not url:
        raise NotImportable("it names no URL")
    if "://" not in url:
        # curl(1), "URL": without a scheme it guesses HTTP. wget does so, too.
        url = f"http://{url}"
    try:
        parts = urlsplit(url)
    except ValueError:
        raise NotImportable(f"{url!r} is no URL") from None
    if parts.scheme not in ("http", "https"):
        raise NotImportable(f"{parts.scheme} is not http or https")
    if re.search(r"\[[^\]:]*\]|\{[^}]*,[^}]*\}", parts.path + parts.query):
        raise NotImportable("[…] or {…} in its URL stands for several URLs")
    credentials, separator, host = parts.netloc.rpartition("@")
    if separator:
        request.user = request.user or unquote(credentials)
        url = urlunsplit(parts._replace(netloc=host))
    return url


def _auth(request: ImportedRequest, reference: Reference) -> dict[str, Any] | None:
    if request.user is not None:
        name, _, password = request.user.partition(":")
        return {"type": "basic", "username": name, "password": _secret(reference, "password", password)}
    if request.bearer is None:
        value = request.take_header("authorization")
        if value is None:
            return None
        scheme, _, token = value.partition(" ")
        if scheme.lower() != "bearer" or not token:
            request.headers["Authorization"] = value
            return None
        request.bearer = token.strip()
    return {"type": "bearer", "token": _secret(reference, "token", request.bearer)}


def _headers(request: ImportedRequest, reference: Reference) -> tuple[dict[str, str], list[str]]:
    headers: dict[str, str] = {}
    secret: list[str] = []
    for name, value in request.headers.items():
        if name.lower() in _OF_THE_CONNECTION or (name.lower() == "host" and value == _host(request.url)):
            continue
        try:
            check_header_name(name)
        except ValueError as error:
            raise NotImportable(str(error)) from None
        if name.lower() in ALWAYS_SECRET or _SECRET_NAME.search(name):
            headers[name] = _secret(reference, name, value)
            if name.lower() not in ALWAYS_SECRET:
                secret.append(name)
        else:
            headers[name] = value
    return headers, secret


def _host(url: str) -> str:
    """The Host header that a call of this URL has anyway."""
    return urlsplit(url if "://" in url else f"http://{url}").netloc.rpartition("@")[2]


def _payload(request: ImportedRequest, method: str, content_type: str | None) -> dict[str, Any]:
    if request.body is None:
        if method in ("POST", "PUT", "PATCH"):
            request.notes.append("it sent no body; the job sends the standard envelope as JSON")
        return {}
    media_type = (content_type or "").partition(";")[0].strip().lower()
    if media_type == JSON or media_type.endswith("+json"):
        try:
            payload = json.loads(request.body)
        except ValueError:
            raise NotImportable(
                f"its body is not the JSON that its content type {content_type} says"
            ) from None
        fields = {"payload": payload}
        return fields if content_type == JSON else {**fields, "contentType": content_type}
    return {"payload": request.body, "contentType": content_type or FORM}


def _limits(request: ImportedRequest) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if request.timeout_seconds:
        asked = round(request.timeout_seconds * 1000)
        fields["timeoutMs"] = min(MAX_TIMEOUT_MS, max(MIN_TIMEOUT_MS, asked))
        if fields["timeoutMs"] != asked:
            request.notes.append(
                f"its time limit of {asked} ms became {fields['timeoutMs']}, the nearest that a job can have"
            )
    if request.retries is not None:
        fields["maxRetries"] = min(MAX_RETRIES, request.retries)
        if request.retry_delay_seconds:
            fields["retryDelaysMs"] = [min(MAX_DELAY_MS, round(request.retry_delay_seconds * 1000))]
    return fields


def _secret(reference: Reference, what: str, value: str) -> str:
    # It may come from the environment already.
    return value if holds_reference(value) else reference(what, value)


def marked(name: str) -> str:
    """What stands for the environment variable `name` until `finished`."""
    return f"{_OPEN}{name}{_CLOSE}"


def holds_reference(text: str) -> bool:
    """Whether a part of `text` comes from the environment."""
    return _MARKED.search(text) is not None


def finished(value: Any) -> Any:
    """`value` as it is written in a file of jobs: marked names as references, and nothing else taken for one."""
    return _unmarked(escaped(value))


def _unmarked(value: Any) -> Any:
    if isinstance(value, str):
        return _MARKED.sub(r"${env:\1}", value)
    if isinstance(value, dict):
        return {_unmarked(name): _unmarked(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_unmarked(inner) for inner in value]
    return value
