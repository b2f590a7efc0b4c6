"""The one reading of target URLs: strict in, one normal form out.

What is judged and what is connected must be the same host. So the URL is taken apart here once and put
together again from its parts, and the transport sees nothing but the result.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote

import idna

# RFC 9110 section 4.1 asks everyone to support URIs of at least 8000 octets; beyond that servers differ.
MAX_URL_LENGTH = 8000
# RFC 1035 section 2.3.4.
MAX_HOST_LENGTH = 253

_DEFAULT_PORTS = {"http": 80, "https": 443}

# RFC 3986 appendix B, without what no target may have (a user part is cut out below, to be refused by name).
_URL = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.\-]*)://(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>\?[^#]*)?"
)
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>[0-9]*))?")
# RFC 1123 section 2.1, and the underscore that many internal names carry.
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"(?:0[xX][0-9a-fA-F]*|[0-9]+)")
_FORBIDDEN = re.compile(r"[\x00-\x20\\\x7f]")
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")
# What may stand in a path or query besides letters and digits (RFC 3986 section 3.3 and 3.4), and `%`.
_URL_SAFE = "%/?:@!$&'()*+,;=-._~[]|"


class UrlUnusable(ValueError):
    """The text is no URL that can be called; `rule` is url, scheme or credentials."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


@dataclass(frozen=True, slots=True)
class TargetUrl:
    """A URL in parts.

    scheme   http or https.
    host     lower case, ASCII (IDNA), without a final dot; IP literals in their usual notation, unbracketed.
    port     the one given, else the scheme's.
    path     path and query as they are requested, `/` at least; the fragment is gone.
    address  the host as an IP address; None for a name.
    text     the whole, put together again.

    origin_text  scheme, host and port as a URL without path, the port always named.
    """

    scheme: str
    host: str
    port: int
    path: str
    address: IPv4Address | IPv6Address | None
    text: str
    origin_text: str

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: what credentials are meant for (RFC 6454 section 4)."""
        return (self.scheme, self.host, self.port)


@lru_cache(maxsize=8192)
def parse_target_url(url: str) -> TargetUrl:
    """The parts of an absolute http or https URL.

    Raises UrlUnusable, with a message fit for a user that repeats nothing secret of it, when the text is too
    long, holds control characters, spaces or backslashes, has another scheme, a user part, a bad port, or a
    host that is neither a name nor an address. Numeric hosts are read as `inet_aton` reads them, because name
    resolution would do so too: `2130706433`, `0x7f.1` and `127.1` are all 127.0.0.1.
    """
    if len(url) > MAX_URL_LENGTH:
        raise UrlUnusable("url", f"a URL may have at most {MAX_URL_LENGTH} characters")
    if _FORBIDDEN.search(url):
        raise UrlUnusable("url", "a URL must not hold spaces, control characters or backslashes")
    if _HALF_CHARACTER.search(url):
        raise UrlUnusable("url", "a URL must not hold half of a surrogate pair")
    match = _URL.match(url)
    if match is None:
        raise UrlUnusable("url", "a URL starts with https:// or http:// and a host")
    scheme = match["scheme"].lower()
    if scheme not in _DEFAULT_PORTS:
        raise UrlUnusable("scheme", f"only http and https URLs can be called, not {scheme}")
    if "@" in match["authority"]:
        raise UrlUnusable("credentials", "a URL must not hold a user name or password; use auth instead")
    authority = _AUTHORITY.fullmatch(match["authority"])
    if authority is None:
        raise UrlUnusable("url", "what stands between // and the path is not a host and port")
    host, address = _normal_host_and_address(authority["host"])
    port = _port(authority["port"], scheme)
    path = quote((match["path"] or "/") + (match["query"] or ""), safe=_URL_SAFE)
    shown_host = f"[{host}]" if isinstance(address, IPv6Address) else host
    shown_port = "" if port == _DEFAULT_PORTS[scheme] else f":{port}"
    text = f"{scheme}://{shown_host}{shown_port}{path}"
    return TargetUrl(scheme, host, port, path, address, text, f"{scheme}://{shown_host}:{port}")


def normal_host(host: str) -> str:
    """The host name or literal in normal form. Raises UrlUnusable when it is neither."""
    return _normal_host_and_address(host)[0]


def _normal_host_and_address(text: str) -> tuple[str, IPv4Address | IPv6Address | None]:
    if text.startswith("["):
        try:
            literal = IPv6Address(text[1:-1])
        except ValueError as error:
            raise UrlUnusable("url", f"{text} is not an IPv6 address") from error
        if literal.scope_id is not None:
            raise UrlUnusable("url", "an IPv6 address must not have a zone")
        return literal.compressed, literal
    host = _ascii_host(text).removesuffix(".")
    if not host:
        raise UrlUnusable("url", "the URL has no host")
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        address = _inet_aton(labels)
        return str(address), address
    if len(host) > MAX_HOST_LENGTH or not all(map(_LABEL.fullmatch, labels)):
        raise UrlUnusable("url", f"{host[:80]!r} is not a host name")
    return host, None


def _ascii_host(text: str) -> str:
    if text.isascii():
        return text.lower()
    try:
        return idna.encode(text, uts46=True, std3_rules=True, transitional=False).decode("ascii")
    except idna.IDNAError as error:
        # Full-width digits and dots are mapped before they are found to be no name.
        try:
            return idna.uts46_remap(text, std3_rules=False, transitional=False)
        except idna.IDNAError:
            raise UrlUnusable("url", f"{text[:80]!r} is not a host name: {error}") from error


def _inet_aton(labels: list[str]) -> IPv4Address:
    """An IPv4 address of one to four numbers, each decimal, octal (0…) or hexadecimal (0x…); see inet(3)."""
    try:
        if len(labels) > 4:
            raise ValueError("more than four parts")
        numbers = [_number(label) for label in labels]
        value = 0
        for number in numbers[:-1]:
            if number > 255:
                raise ValueError("a part above 255")
            value = value << 8 | number
        rest_bits = 8 * (5 - len(numbers))
        if numbers[-1] >= 1 << rest_bits:
            raise ValueError("the last part is too large")
        return IPv4Address(value << rest_bits | numbers[-1])
    except ValueError as error:
        raise UrlUnusable("url", f"{'.'.join(labels)[:80]!r} is not an IPv4 address: {error}") from error


def _number(label: str) -> int:
    if not _NUMBER.fullmatch(label):
        raise ValueError(f"{label[:20]!r} is not a number")
    if len(label) > 20:
        raise ValueError("a part is too long")
    if label[:2] in ("0x", "0X"):
        return int(label[2:] or "0", 16)
    return int(label, 8) if label.startswith("0") and len(label) > 1 else int(label)


def _port(text: str | None, scheme: str) -> int:
    if not text:
        return _DEFAULT_PORTS[scheme]
    port = int(text) if len(text) <= 5 else 0
    if not 1 <= port <= 65535:
        raise UrlUnusable("url", "a port is a number from 1 to 65535")
    return port
