"""wget commands as requests (wget(1), version 1.21)."""

from __future__ import annotations

from collections.abc import Sequence

from webhookcron.imports.errors import NotImportable
from webhookcron.imports.options import OptionTable
from webhookcron.imports.requests import FORM, ImportedRequest

_SHORT = {
    "q": "quiet", "v": "verbose", "nv": "no-verbose", "b": "background", "O": "output-document", "o": "output-file",
    "a": "append-output", "T": "timeout", "t": "tries", "U": "user-agent", "4": "inet4-only", "6": "inet6-only",
    "S": "server-response", "i": "input-file", "r": "recursive", "m": "mirror", "N": "timestamping", "c": "continue",
    "P": "directory-prefix", "p": "page-requisites", "k": "convert-links", "nc": "no-clobber", "w": "wait",
    "e": "execute", "d": "debug",
}  # fmt: skip

_IGNORED_FLAGS = frozenset(
    {
        "quiet", "verbose", "no-verbose", "background", "inet4-only", "inet6-only", "server-response", "delete-after",
        "no-cache", "no-hsts", "no-cookies", "content-on-error", "show-progress", "no-check-hsts", "debug",
    }
)  # fmt: skip
_IGNORED_VALUES = frozenset(
    {"output-file", "append-output", "connect-timeout", "dns-timeout", "progress", "wait"}
)
_REFUSED_FLAGS = {
    "no-check-certificate": "it does not check certificates, which a job always does",
    "recursive": "it downloads a tree (-r)",
    "mirror": "it downloads a tree (-m)",
    "page-requisites": "it downloads a page with all it needs (-p)",
    "convert-links": "it keeps the response in a file",
    "timestamping": "it keeps the response in a file",
    "continue": "it goes on with a download",
    "no-clobber": "it keeps the response in a file",
}
_REFUSED_VALUED = {
    "input-file": "its URLs are in a file (-i)",
    "directory-prefix": "it keeps the response in a file",
    "post-file": "its body is in a file",
    "body-file": "its body is in a file",
    "certificate": "it shows a client certificate",
    "private-key": "it shows a client certificate",
    "ca-certificate": "it trusts a certificate authority of its own",
    "load-cookies": "its cookies are in a file",
    "execute": "it runs a line of its configuration (-e)",
}
_VALUED = frozenset(
    {
        "output-document", "timeout", "read-timeout", "tries", "user-agent", "header", "post-data", "body-data",
        "method", "user", "http-user", "password", "http-password", "referer", "waitretry", "max-redirect",
    }
)  # fmt: skip

_TABLE = OptionTable(
    "wget",
    _SHORT,
    _VALUED | _IGNORED_VALUES | _REFUSED_VALUED.keys(),
    _IGNORED_FLAGS | _REFUSED_FLAGS.keys() | {"spider"},
)


def wget_request(arguments: Sequence[str]) -> ImportedRequest:
    """The request that `wget` makes with these arguments. Raises NotImportable with the option that forbids it."""
    # wget(1): it follows redirects unless told otherwise.
    request = ImportedRequest(follow_redirects=True)
    kept_in: str | None = None
    discarded = False
    name_and_password: dict[str, str] = {}
    for name, value in _TABLE.parse(arguments):
        refusal = _REFUSED_FLAGS.get(name) or _REFUSED_VALUED.get(name)
        if refusal is not None:
            raise NotImportable(refusal)
        match name:
            case "":
                if request.url:
                    raise NotImportable("it calls several URLs")
                request.url = value
            case "output-document":
                discarded = value in ("/dev/null", "-")
                kept_in = None if discarded else value
            case "spider" | "delete-after":
                discarded = True
                if name == "spider":
                    request.method = request.method or "HEAD"
            case "timeout" | "read-timeout":
                request.timeout_seconds = _seconds(name, value)
            case "tries":
                tries = _seconds(name, value)
                request.retries = max(0, int(tries) - 1) if tries else None
            case "user" | "http-user":
                name_and_password["user"] = value
            case "password" | "http-password":
                name_and_password["password"] = value
            case _:
                _option(request, name, value)
    if kept_in is not None or not discarded:
        raise NotImportable(f"it keeps the response in {'the file ' + kept_in if kept_in else 'a file'}")
    if "user" in name_and_password:
        request.user = f"{name_and_password['user']}:{name_and_password.get('password', '')}"
    return request


def _option(request: ImportedRequest, name: str, value: str) -> None:
    match name:
        case "header":
            header, _, content = value.partition(":")
            if content.strip():
                request.set_header(header.strip(), content.strip())
        case "user-agent":
            request.set_header("User-Agent", value)
        case "referer":
            request.set_header("Referer", value)
        case "post-data" | "body-data":
            request.body, request.body_type = value, FORM
        case "method":
            request.method = value
        case "waitretry":
            request.retry_delay_seconds = _seconds(name, value)
        case "max-redirect":
            request.follow_redirects = value != "0"


def _seconds(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 10**9:
        raise NotImportable(f"--{name} {value!r} is no number")
    return number
