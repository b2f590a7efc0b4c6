"""A request on its way through the transport, over all its hops."""

from __future__ import annotations

from collections.abc import Callable

from webhookcron.core.target_urls import TargetUrl
from webhookcron.delivery.names import Addresses
from webhookcron.delivery.transport_types import HttpRequest, HttpResult, Redirect

OnDone = Callable[[HttpResult], None]


class Call:
    """A request on its way, over all its hops."""

    __slots__ = (
        "addresses",
        "hop_started_at",
        "host",
        "lookup_ms",
        "on_done",
        "redirects",
        "request",
        "resent",
        "started_at",
        "target",
        "telling",
    )

    def __init__(self, request: HttpRequest, on_done: OnDone) -> None:
        self.request = request
        self.on_done = on_done
        self.redirects: tuple[Redirect, ...] = ()
        self.resent = False
        # Of the present hop: how long it waited for the addresses of its name, those that came, those it tells libcurl.
        self.lookup_ms = 0.0
        self.addresses: Addresses | None = None
        self.telling: Addresses | None = None
        self.started_at = self.hop_started_at = 0.0
        self.host = ""
        self.target: TargetUrl
