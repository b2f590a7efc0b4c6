"""Requests that come through proxies: whose word about the caller is believed."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from webhookcron.config_values import Network

_HOST = re.compile(r"[A-Za-z0-9._\-]{1,253}(:[0-9]{1,5})?|\[[0-9a-fA-F:.]{2,45}\](:[0-9]{1,5})?", re.ASCII)

_BELIEVED = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST")

StartResponse = Callable[..., Any]
WsgiApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class TrustedProxies:
    """WSGI middleware that takes caller, scheme and host from X-Forwarded-* headers of proxies in `networks`.

    The caller is the last address in X-Forwarded-For that is no such proxy: what stands before it may be made up.
    From anyone else these headers are dropped.
    """

    def __init__(self, app: WsgiApp, networks: Sequence[Network]) -> None:
        self._app = app
        self._networks = tuple(networks)

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if self._trusted(environ.get("REMOTE_ADDR", "")):
            self._believe(environ)
        else:
            for name in _BELIEVED:
                environ.pop(name, None)
        return self._app(environ, start_response)

    def _believe(self, environ: dict[str, Any]) -> None:
        for part in reversed(environ.get("HTTP_X_FORWARDED_FOR", "").split(",")):
            address = _address(part)
            if address is None:
                break
            environ["REMOTE_ADDR"] = str(address)
            if not self._trusted(str(address)):
                break
        scheme = environ.get("HTTP_X_FORWARDED_PROTO", "").rpartition(",")[2].strip().lower()
        if scheme in ("http", "https"):
            environ["wsgi.url_scheme"] = scheme
        host = environ.get("HTTP_X_FORWARDED_HOST", "").rpartition(",")[2].strip()
        if _HOST.fullmatch(host):
            environ["HTTP_HOST"] = host

    def _trusted(self, text: str) -> bool:
        address = _address(text)
        return address is not None and any(
            address.version == network.version and address in network for network in self._networks
        )


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.strip().removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
