"""curl commands as requests (curl(1), version 8)."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote_plus

from webhookcron.imports.errors import NotImportable
from webhookcron.imports.options import OptionTable
from webhookcron.imports.requests import FORM, JSON, ImportedRequest, holds_reference

_SHORT = {
    "A": "user-agent", "b": "cookie", "B": "use-ascii", "C": "continue-at", "c": "cookie-jar", "d": "data",
    "D": "dump-header", "E": "cert", "e": "referer", "f": "fail", "F": "form", "G": "get", "g": "globoff",
    "H": "header", "h": "help", "I": "head", "i": "include", "j": "junk-session-cookies", "J": "remote-header-name",
    "k": "insecure", "K": "config", "L": "location", "m": "max-time", "M": "manual", "N": "no-buffer", "n": "netrc",
    "o": "output", "O": "remote-name", "p": "proxytunnel", "q": "disable", "r": "range", "s": "silent",
    "S": "show-error", "T": "upload-file", "u": "user", "U": "proxy-user", "v": "verbose", "V": "version",
    "w": "write-out", "x": "proxy", "X": "request", "Y": "speed-limit", "y": "speed-time", "z": "time-cond",
    "#": "progress-bar", "4": "ipv4", "6": "ipv6", "0": "http1.0", "1": "tlsv1", "2": "sslv2", "3": "sslv3",
}  # fmt: skip

_IGNORED_FLAGS = frozenset(
    {
        "silent", "show-error", "no-silent", "fail", "fail-with-body", "fail-early", "verbose", "include",
        "show-headers", "compressed", "no-buffer", "no-progress-meter", "progress-bar", "ipv4", "ipv6", "http1.1",
        "http2", "http3", "http1.0", "globoff", "disable", "tlsv1", "tlsv1.2", "tlsv1.3", "no-keepalive", "tcp-nodelay",
        "basic", "junk-session-cookies", "styled-output", "no-styled-output", "retry-all-errors", "retry-connrefused",
        "path-as-is", "no-alpn", "use-ascii", "ssl-reqd",
    }
)  # fmt: skip
_IGNORED_VALUES = {
    "write-out": None, "connect-timeout": None, "keepalive-time": None, "speed-limit": None, "speed-time": None,
    "max-redirs": None, "cookie-jar": "it stored cookies; a job has none to store",
    "retry-max-time": "it limited the time of all retries; a job does not",
    "stderr": None, "limit-rate": None, "max-filesize": None,
}  # fmt: skip
_REFUSED = {
    "insecure": "it does not check certificates (-k), which a job always does",
    "proxy-insecure": "it uses a proxy",
    "proxy": "it uses a proxy",
    "proxy-user": "it uses a proxy",
    "proxytunnel": "it uses a proxy",
    "socks5": "it uses a proxy",
    "form": "it uploads a form with parts (-F)",
    "form-string": "it uploads a form with parts (--form-string)",
    "upload-file": "it uploads a file (-T)",
    "config": "its options are in a file (-K)",
    "netrc": "its password is in ~/.netrc",
    "netrc-file": "its password is in a netrc file",
    "cert": "it shows a client certificate",
    "key": "it shows a client certificate",
    "cacert": "it trusts a certificate authority of its own",
    "capath": "it trusts a certificate authority of its own",
    "unix-socket": "it calls a unix socket",
    "resolve": "it gives an address for the host name",
    "connect-to": "it calls another host than the URL says",
    "interface": "it chooses a network interface",
    "digest": "it uses digest authentication",
    "ntlm": "it uses NTLM authentication",
    "negotiate": "it uses SPNEGO authentication",
    "anyauth": "it lets the server choose the authentication",
    "aws-sigv4": "it signs requests for AWS",
    "remote-name": "it keeps the response in a file",
    "remote-name-all": "it keeps the response in a file",
    "remote-header-name": "it keeps the response in a file",
    "dump-header": "it keeps the response headers in a file",
    "range": "it asks for a part of the resource",
    "continue-at": "it goes on with a download",
    "time-cond": "it asks for changed resources only",
    "next": "it makes several requests (--next)",
    "parallel": "it makes several requests",
}
_REFUSED_VALUED = frozenset(
    {
        "proxy", "proxy-user", "socks5", "form", "form-string", "upload-file", "config", "netrc-file", "cert", "key",
        "cacert", "capath", "unix-socket", "resolve", "connect-to", "interface", "aws-sigv4", "dump-header", "range",
        "continue-at", "time-cond",
    }
)  # fmt: skip
_DATA = frozenset({"data", "data-ascii", "data-raw", "data-binary", "data-urlencode", "json"})
_VALUED = (
    _DATA
    | {
        "request",
        "header",
        "url",
        "user",
        "user-agent",
        "referer",
        "cookie",
        "max-time",
        "retry",
        "retry-delay",
    }
    | {"output", "oauth2-bearer", "url-query"}
)
_FLAGS = {"get", "head", "location", "location-trusted"}

_TABLE = OptionTable(
    "curl",
    _SHORT,
    frozenset(_VALUED | _IGNORED_VALUES.keys() | _REFUSED_VALUED),
    frozenset(_FLAGS | _IGNORED_FLAGS | (_REFUSED.keys() - _REFUSED_VALUED)),
)


def curl_request(arguments: Sequence[str]) -> ImportedRequest:
    """The request that `curl` makes with these arguments. Raises NotImportable with the option that forbids it."""
    request = ImportedRequest()
    data: list[str] = []
    query: list[str] = []
    as_query = False
    for name, value in _TABLE.parse(arguments):
        if name in _REFUSED:
            raise NotImportable(_REFUSED[name])
        if name in ("", "url"):
            if request.url:
                raise NotImportable("it calls several URLs")
            request.url = value
        elif name in _DATA:
            data.append(_data(name, value))
            request.body_type = JSON if name == "json" else request.body_type or FORM
            if name == "json":
                request.headers.setdefault("Accept", JSON)
        elif name == "get":
            as_query = True
        elif name == "url-query":
            query.append(_data("data-urlencode", value))
        else:
            _option(request, name, value)
    if as_query:
        query += data
        data, request.body_type = [], None
        request.method = request.method or "GET"
    if data:
        request.body = ("" if request.body_type == JSON else "&").join(data)
    if query:
        url, mark, fragment = request.url.partition("#")
        request.url = f"{url}{'&' if '?' in url else '?'}{'&'.join(query)}{mark}{fragment}"
    return request


def _option(request: ImportedRequest, name: str, value: str) -> None:
    match name:
        case "request":
            request.method = value
        case "head":
            request.method = request.method or "HEAD"
        case "header":
            _header(request, value)
        case "user":
            request.user = value
        case "oauth2-bearer":
            request.bearer = value
        case "user-agent":
            request.set_header("User-Agent", value)
        case "referer":
            request.set_header("Referer", value.removesuffix(";auto"))
        case "cookie":
            if "=" not in value:
                raise NotImportable("its cookies are in a file (-b)")
            request.set_header("Cookie", value)
        case "location" | "location-trusted":
            request.follow_redirects = True
        case "max-time":
            request.timeout_seconds = _number(name, value)
        case "retry":
            request.retries = int(_number(name, value))
        case "retry-delay":
            request.retry_delay_seconds = _number(name, value)
        case "output":
            if value not in ("/dev/null", "-"):
                raise NotImportable(f"it keeps the response in the file {value}")
        case _:
            note = _IGNORED_VALUES.get(name)
            if note is not None:
                request.notes.append(note)


def _header(request: ImportedRequest, text: str) -> None:
    if text.startswith("@"):
        raise NotImportable("its headers are in a file (-H @…)")
    name, colon, value = text.partition(":")
    if not colon:
        # curl(1), --header: "X-Custom;" sends the header without a value.
        request.set_header(text.rstrip(";").strip(), "")
    elif value.strip():
        request.set_header(name.strip(), value.strip())


def _data(name: str, value: str) -> str:
    if name in ("data", "data-ascii", "data-binary", "json") and value.startswith("@"):
        raise NotImportable(
            f"its body is in {'standard input' if value == '@-' else 'the file ' + value[1:]}"
        )
    if name != "data-urlencode":
        return value
    if holds_reference(value):
        raise NotImportable("it encodes a variable for a URL (--data-urlencode)")
    # curl(1), --data-urlencode: "content", "=content", "name=content", "@file", "name@file".
    label, equals, content = value.partition("=")
    if "@" in label:
        raise NotImportable("its body is in a file (--data-urlencode …@…)")
    if not equals:
        return quote_plus(value)
    return f"{label}={quote_plus(content)}" if label else quote_plus(content)


def _number(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 10**9:
        raise NotImportable(f"--{name} {value!r} is no number")
    return number
