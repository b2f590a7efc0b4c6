"""Many HTTP calls at once, on one thread, within hard bounds.

Every outgoing call to a URL that somebody configured goes through here: webhooks, OAuth tokens, alerts and test
calls. Nothing but this module and its `curl_…` helpers knows libcurl.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache

import certifi
import pycurl

from webhookcron.core.outcomes import Failure, FailureKind
from webhookcron.core.targets import TargetPolicy, TargetRefused
from webhookcron.delivery.curl_connections import ConnectionWatch
from webhookcron.delivery.curl_poller import CurlPoller
from webhookcron.delivery.curl_settings import transfer_settings
from webhookcron.delivery.curl_transfer import Transfer
from webhookcron.delivery.names import Addresses, LookUp, Names, look_up
from webhookcron.delivery.transport_calls import Call, OnDone
from webhookcron.delivery.transport_redirects import REDIRECT_STATUSES, next_hop
from webhookcron.delivery.transport_turns import HostTurns
from webhookcron.delivery.transport_types import HttpRequest, HttpResult, Phases, Redirect

__all__ = ["HttpRequest", "HttpResult", "OnDone", "Phases", "Redirect", "Transport", "TransportClosed"]

logger = logging.getLogger(__name__)

NOT_SENT = "the platform shut down; nothing was sent"

# How many libcurl handles are kept for later calls; each takes some 10 KB.
_MAX_SPARE_TRANSFERS = 512
# Of how many hosts and ports it is remembered that libcurl was told.
_MOST_TOLD = 20_000


class TransportClosed(RuntimeError):
    """The transport takes no more calls. Nothing was sent."""


class Transport:
    """Sends HTTP requests from one thread of its own; one per process, made after any fork.

    No more than `max_connections` calls run at a time, and no more than `max_per_host` to one host name; others
    wait inside, hosts taking turns, and their deadlines start when they do. Connections are kept alive and
    reused, HTTP/2 is spoken where a TLS server offers it. Proxies and .netrc of the environment are ignored.
    """

    def __init__(
        self,
        *,
        policy: TargetPolicy,
        max_connections: int = 256,
        max_per_host: int = 32,
        user_agent: str,
        ca_file: str | None = None,
        look_up: LookUp = look_up,
    ) -> None:
        """Start the thread.

        policy      judges every URL, all addresses of its name, and each once more as its socket opens.
        user_agent  sent where a request has no User-Agent of its own.
        ca_file     PEM file of trusted issuers; None = the bundle of certifi.
        look_up     gives the addresses of a host name, or raises OSError; called on threads of its own.
        """
        if max_connections < 1 or max_per_host < 1:
            raise ValueError("a transport needs room for at least one connection, in all and per host")
        self._policy = policy
        self._judge_url = lru_cache(maxsize=4096)(policy.judge_url)
        self._settings = transfer_settings(user_agent, ca_file or certifi.where())
        self._lock = threading.Lock()
        self._submitted: list[Call] = []
        self._closing = False
        self._cancel_at: float | None = None
        self._in_flight = 0
        self._delivered = False
        self._on_pause: Callable[[], None] = _nothing
        self._turns: HostTurns[Call] = HostTurns(most=max_connections, most_per_host=max_per_host)
        self._running: dict[pycurl.Curl, Transfer] = {}
        self._spare: list[Transfer] = []
        self._refused: list[Transfer] = []
        self._connections = ConnectionWatch()
        self._poller = CurlPoller(idle_connections=max_connections, on_watch=self._connections.saw)
        self._names: Names[Call] = Names(look_up=look_up, wake=self._poller.wake)
        self._told: dict[tuple[str, int], Addresses] = {}
        self._thread = threading.Thread(target=self._run, name="transport", daemon=True)
        self._thread.start()

    @property
    def in_flight(self) -> int:
        """Calls taken whose result is not delivered yet, waiting ones included."""
        with self._lock:
            return self._in_flight

    @property
    def closed(self) -> bool:
        """True when no more calls are taken: after `close`, or because the transport broke down."""
        with self._lock:
            return self._closing

    def tell_of_pauses(self, on_pause: Callable[[], None]) -> None:
        """Call `on_pause` on the transport's thread when results were delivered and no further one is at hand.

        So that whoever gets the results can act on all that came together at once. It must return quickly.
        """
        self._on_pause = on_pause

    def submit(self, request: HttpRequest, on_done: OnDone) -> None:
        """Send the request; `on_done` gets the result on the transport's thread and must return quickly.

        Every call taken gets exactly one result; failures are results. Any thread may call this, `on_done` included.
        Raises TransportClosed after `close`.
        """
        self.submit_many(((request, on_done),))

    def submit_many(self, calls: Iterable[tuple[HttpRequest, OnDone]]) -> None:
        """Send many requests with one wake-up of the thread; see `submit`."""
        taken = [Call(request, on_done) for request, on_done in calls]
        if not taken:
            return
        with self._lock:
            if self._closing:
                raise TransportClosed("the transport is closed")
            wake = not self._submitted
            self._submitted += taken
            self._in_flight += len(taken)
        if wake:
            self._poller.wake()

    def send(self, request: HttpRequest) -> HttpResult:
        """Send the request and wait for its result. Not for the transport's own thread (RuntimeError)."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("send would wait for the thread that it runs on; use submit")
        done = threading.Event()
        results: list[HttpResult] = []

        def keep(result: HttpResult) -> None:
            results.append(result)
            done.set()

        self.submit(request, keep)
        done.wait()
        return results[0]

    def close(self, timeout: float = 0.0) -> None:
        """Take no more calls, let those running end for up to `timeout` seconds, and stop the thread.

        Calls that did not run yet, and those still running then, end with a failure of kind `cancelled`. Closing
        twice does no harm.
        """
        with self._lock:
            self._closing = True
            self._cancel_at = time.monotonic() + timeout
        if self._thread.is_alive():
            self._poller.wake()
            if threading.current_thread() is not self._thread:
                self._thread.join()

    # Everything below runs on the transport's thread.

    def _run(self) -> None:
        try:
            self._loop()
        except Exception:
            # Nothing is known to end here. If something does, no caller may be left waiting for ever.
            logger.critical("the transport broke down", exc_info=True)
            self.close()
            with self._lock:
                submitted, self._submitted = self._submitted, []
            for call in submitted:
                self._deliver(call, _failed(FailureKind.CANCELLED, NOT_SENT))
            self._cancel_waiting()
            self._cancel_running()
        self._pause()
        for transfer in self._spare:
            transfer.curl.close()
        self._spare.clear()
        self._names.close()
        self._poller.close()

    def _loop(self) -> None:
        while True:
            with self._lock:
                submitted, self._submitted = self._submitted, []
                closing, cancel_at = self._closing, self._cancel_at
            for call in submitted:
                self._admit(call)
            self._look_at_names()
            if closing:
                assert cancel_at is not None
                self._cancel_waiting()
                left = cancel_at - time.monotonic()
                if left <= 0:
                    self._cancel_running()
                if not self._running and not len(self._names):
                    return
                self._pause()
                overdue = self._names.seconds_left()
                self._poller.turn(left if overdue is None else min(left, overdue))
            else:
                self._pause()
                self._poller.turn(self._names.seconds_left())
            self._collect()

    def _pause(self) -> None:
        if not self._delivered:
            return
        self._delivered = False
        try:
            self._on_pause()
        except Exception:
            logger.exception("results that came together could not be handed over")

    def _admit(self, call: Call) -> None:
        """Judge a new call's URL, and start it or line it up."""
        try:
            call.target = self._judge_url(call.request.url)
        except TargetRefused as refused:
            self._deliver(call, _failed(FailureKind.BLOCKED, refused.refusal.message))
            return
        except Exception as error:
            # Nothing is known to raise anything else. One call must not end the transport, and with it its worker.
            logger.exception("a URL could not be judged")
            self._deliver(call, _failed(FailureKind.INVALID_REQUEST, f"its URL cannot be judged: {error}"))
            return
        call.host = call.target.host
        if self._turns.enter(call.host, call):
            self._begin(call)

    def _begin(self, call: Call) -> None:
        """Start a call that has just got its place: the deadline runs from here."""
        call.started_at = call.hop_started_at = time.monotonic()
        self._start(call)

    def _start(self, call: Call, *, fresh: bool = False) -> None:
        """Hand the call's present hop to libcurl. The call holds its host's place already."""
        left_ms = call.request.timeout_ms
        if call.redirects or call.resent or call.lookup_ms:
            left_ms -= int((time.monotonic() - call.started_at) * 1000)
            if left_ms <= 0:
                self._end(
                    call, _failed(FailureKind.TIMEOUT, "the deadline passed between two steps of the call")
                )
                return
        if call.target.address is None and not self._has_addresses(call, left_ms):
            return
        transfer = self._spare.pop() if self._spare else self._new_transfer()
        try:
            transfer.prepare(
                call.request,
                call.target,
                left_ms,
                fresh=fresh,
                addresses=() if call.telling is None else call.telling.texts,
            )
        except (ValueError, pycurl.error) as error:
            transfer.curl.close()
            self._end(call, _failed(FailureKind.INVALID_REQUEST, f"the request cannot be sent: {error}"))
            return
        transfer.call = call
        self._running[transfer.curl] = transfer
        self._poller.multi.add_handle(transfer.curl)

    def _has_addresses(self, call: Call, left_ms: int) -> bool:
        """Whether the call may go on: not when its name has to be looked up first, nor when an address is refused."""
        target = call.target
        addresses = call.addresses or self._names.known(target.host)
        if addresses is None:
            self._names.wait(target.host, call, time.monotonic() + left_ms / 1000)
            return False
        if self._told.get((target.host, target.port)) is addresses:
            return True
        for address in addresses.texts:
            refusal = self._policy.judge_address(target.host, address, target.port)
            if refusal is not None:
                self._end(call, _failed(FailureKind.BLOCKED, refusal.message))
                return False
        call.telling = addresses
        return True

    def _look_at_names(self) -> None:
        """Go on with calls whose names were looked up, and end those that waited for too long."""
        for call, answer in self._names.answers():
            call.lookup_ms = self._ms_of(call)
            if isinstance(answer, Failure):
                self._end(call, HttpResult(failure=answer, phases=Phases(total=call.lookup_ms)))
            else:
                call.addresses = answer
                self._start(call)
        for call in self._names.overdue():
            ms = self._ms_of(call)
            failure = Failure(
                FailureKind.TIMEOUT, f"the name was not resolved within {call.request.timeout_ms} ms"
            )
            self._end(call, HttpResult(failure=failure, phases=Phases(total=ms)))

    @staticmethod
    def _ms_of(call: Call) -> float:
        """Milliseconds since the call, or its present hop, began; more than nothing."""
        return max((time.monotonic() - call.hop_started_at) * 1000, 0.001)

    def _collect(self) -> None:
        """Turn ended transfers into results, and start calls that waited for their places."""
        multi = self._poller.multi
        if self._refused:
            for transfer in self._refused:
                if transfer.curl in self._running:
                    self._conclude(transfer, pycurl.E_COULDNT_CONNECT, "")
            self._refused.clear()
        while True:
            queued, succeeded, failed = multi.info_read()
            for curl in succeeded:
                self._conclude(self._running[curl], 0, "")
            for curl, code, message in failed:
                self._conclude(self._running[curl], code, message)
            if not queued:
                break
        while (call := self._turns.next()) is not None:
            self._begin(call)

    def _conclude(self, transfer: Transfer, code: int, message: str) -> None:
        call: Call = transfer.call
        del self._running[transfer.curl]
        self._poller.multi.remove_handle(transfer.curl)
        result = transfer.result(code, message)
        if call.telling is not None:
            self._remember_told(call)
        if call.lookup_ms:
            result = replace(result, phases=result.phases.later(call.lookup_ms))
        unsent = code == pycurl.E_ABORTED_BY_CALLBACK and not call.resent and transfer.was_not_sent
        transfer.call = None
        if len(self._spare) < _MAX_SPARE_TRANSFERS:
            self._spare.append(transfer)
        else:
            transfer.curl.close()
        if unsent:
            call.resent = True
            self._start(call, fresh=True)
        elif call.request.follow_redirects and result.failure is None and result.status in REDIRECT_STATUSES:
            self._redirect(call, result)
        else:
            self._end(call, result)

    def _redirect(self, call: Call, result: HttpResult) -> None:
        """Go on to the next hop; it keeps the place of the first host and what is left of the deadline."""
        assert result.status is not None
        following = next_hop(call.request, result.status, result.header("location"), len(call.redirects))
        if isinstance(following, Failure):
            self._end(call, replace(result, failure=following))
            return
        call.redirects = (*call.redirects, Redirect(result.status, following.url))
        try:
            call.target = self._judge_url(following.url)
        except TargetRefused as refused:
            self._end(call, replace(result, failure=Failure(FailureKind.BLOCKED, refused.refusal.message)))
            return
        call.request = following
        call.lookup_ms = 0.0
        call.addresses = None
        call.hop_started_at = time.monotonic()
        self._start(call)

    def _end(self, call: Call, result: HttpResult) -> None:
        """Free the call's place and deliver its result."""
        self._turns.leave(call.host)
        if call.redirects:
            total_ms = (time.monotonic() - call.started_at) * 1000
            result = replace(result, redirects=call.redirects, phases=result.phases._replace(total=total_ms))
        self._deliver(call, result)

    def _deliver(self, call: Call, result: HttpResult) -> None:
        with self._lock:
            self._in_flight -= 1
        self._delivered = True
        try:
            call.on_done(result)
        except Exception:
            logger.exception("a result of %s could not be handed over", call.request.method)

    def _cancel_waiting(self) -> None:
        for call in self._turns.give_up_waiting():
            self._deliver(call, _failed(FailureKind.CANCELLED, NOT_SENT))

    def _remember_told(self, call: Call) -> None:
        """libcurl knows the addresses that this call carried: those to come need not."""
        assert call.telling is not None
        if len(self._told) >= _MOST_TOLD:
            self._told.clear()
        self._told[call.target.host, call.target.port] = call.telling
        call.telling = None

    def _cancel_running(self) -> None:
        for call in self._names.give_up():
            self._end(call, _failed(FailureKind.CANCELLED, NOT_SENT))
        for transfer in list(self._running.values()):
            del self._running[transfer.curl]
            self._poller.multi.remove_handle(transfer.curl)
            transfer.curl.close()
            self._end(
                transfer.call,
                _failed(FailureKind.CANCELLED, "the platform shut down before the call was complete"),
            )

    def _new_transfer(self) -> Transfer:
        return Transfer(
            policy=self._policy,
            settings=self._settings,
            connections=self._connections,
            on_refusal=self._refused.append,
        )


def _nothing() -> None:
    pass


def _failed(kind: FailureKind, message: str) -> HttpResult:
    return HttpResult(failure=Failure(kind, message))
