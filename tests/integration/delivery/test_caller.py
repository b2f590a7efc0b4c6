"""Attempts from template to result: without credentials, and with OAuth tokens that are shared and refreshed."""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from webhookcron.core.outcomes import FailureKind
from webhookcron.core.request_spec import AuthSpec, AuthType, FireContext, RequestSpec, SigningSecret
from webhookcron.core.targets import TargetPolicy
from webhookcron.delivery.caller import WebhookCall, WebhookCaller
from webhookcron.delivery.oauth import OAuthTokens
from webhookcron.delivery.request import RequestTemplate
from webhookcron.delivery.transport import HttpRequest, HttpResult, Transport

if TYPE_CHECKING:
    from tests.integration.delivery.conftest import MakeTransport, Peer, Serve, Server

CONTEXT = FireContext(
    job_id="j",
    job_name="Job",
    execution_id="j:1",
    scheduled_at=datetime(2026, 3, 1, tzinfo=UTC),
    attempt=1,
    trigger="schedule",
)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


class Clock:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


class Issuer:
    """A token endpoint that numbers its tokens, or answers as it is told."""

    def __init__(self, serve: Serve) -> None:
        self.issued = 0
        self.answer: dict[str, Any] = {"token_type": "Bearer", "expires_in": 3600}
        self.status = "200 OK"
        self.raw: bytes | None = None
        self.hold: threading.Event | None = None
        self.server: Server = serve(self._script)

    def _script(self, peer: Peer) -> None:
        while peer.read_request() is not None:
            if self.hold is not None:
                self.hold.wait(30)
            self.issued += 1
            body = json.dumps({"access_token": f"token-{self.issued}"} | self.answer).encode()
            peer.respond(self.status, body=body if self.raw is None else self.raw)

    def auth(self, **changes: Any) -> AuthSpec:
        values = {"token_url": self.server.url("/token"), "client_id": "client", "client_secret": "hush"}
        return AuthSpec(type=AuthType.OAUTH2, **(values | changes))


class Target:
    """A webhook that accepts only some tokens."""

    def __init__(self, serve: Serve) -> None:
        self.accepted: set[str] | None = None
        self.server: Server = serve(self._script)

    def _script(self, peer: Peer) -> None:
        while (request := peer.read_request()) is not None:
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
            fits = self.accepted is None or token in self.accepted
            peer.respond("200 OK" if fits else "401 Unauthorized")

    @property
    def tokens(self) -> list[str]:
        return [request.headers["authorization"].removeprefix("Bearer ") for request in self.server.requests]


@pytest.fixture
def issuer(serve: Serve) -> Issuer:
    return Issuer(serve)


@pytest.fixture
def target(serve: Serve) -> Target:
    return Target(serve)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(transport: Transport, clock: Clock) -> OAuthTokens:
    return OAuthTokens(transport, monotonic=clock)


@pytest.fixture
def caller(transport: Transport, tokens: OAuthTokens) -> WebhookCaller:
    return WebhookCaller(transport, tokens, now=lambda: datetime(2026, 3, 1, 0, 0, 1, tzinfo=UTC))


def _call(
    caller: WebhookCaller, url: str, times: int = 1, **changes: Any
) -> list[tuple[HttpRequest | None, HttpResult]]:
    template = RequestTemplate.of(RequestSpec(url=url, **({"signing": False} | changes)))
    ended: list[tuple[HttpRequest | None, HttpResult]] = []
    complete = threading.Event()

    def on_done(request: HttpRequest | None, result: HttpResult) -> None:
        ended.append((request, result))
        if len(ended) == times:
            complete.set()

    caller.call_many([WebhookCall(template, CONTEXT, on_done)] * times)
    assert complete.wait(30)
    return ended


def _kind(result: HttpResult) -> FailureKind | None:
    return None if result.failure is None else result.failure.kind


def test_a_call_is_signed_for_the_platform_s_time(caller: WebhookCaller, target: Target) -> None:
    secrets = (SigningSecret(SECRET),)
    ((request, result),) = _call(caller, target.server.url(), signing=True, signing_secrets=secrets)
    assert result.status == 200
    assert request is not None
    assert target.server.requests[0].headers["webhook-timestamp"] == "1772323201"
    assert (
        target.server.requests[0].headers["webhook-signature"] == dict(request.headers)["webhook-signature"]
    )


def test_a_call_that_cannot_be_built_ends_by_itself(caller: WebhookCaller, target: Target) -> None:
    template = RequestTemplate.of(
        RequestSpec(url=target.server.url(), signing=False, headers=(("X", "{{ jobId }}"),))
    )
    context = FireContext(
        job_id="a\nb",
        job_name="",
        execution_id="e",
        scheduled_at=CONTEXT.scheduled_at,
        attempt=1,
        trigger="manual",
    )
    ended: list[HttpResult] = []
    caller.call_many([WebhookCall(template, context, lambda _, result: ended.append(result))])
    assert [_kind(result) for result in ended] == [FailureKind.INVALID_REQUEST]


@pytest.mark.parametrize("oauth", [False, True])
def test_one_that_breaks_while_it_is_built_keeps_no_other_from_ending(
    caller: WebhookCaller, target: Target, issuer: Issuer, oauth: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = RequestSpec(url=target.server.url(), signing=False, auth=issuer.auth() if oauth else None)
    template, build = RequestTemplate.of(spec), RequestTemplate.build

    def broken(self: RequestTemplate, context: FireContext, **options: Any) -> HttpRequest:
        if context.attempt == 7:
            raise RuntimeError("no request does this")
        return build(self, context, **options)

    monkeypatch.setattr(RequestTemplate, "build", broken)
    ended: dict[int, HttpResult] = {}
    complete = threading.Event()

    def on_done(number: int, result: HttpResult) -> None:
        ended[number] = result
        if len(ended) == 3:
            complete.set()

    caller.call_many(
        WebhookCall(template, replace(CONTEXT, attempt=n), lambda _, result, n=n: on_done(n, result))
        for n in (6, 7, 8)
    )
    assert complete.wait(30)
    assert {n: result.status or _kind(result) for n, result in ended.items()} == {
        6: 200,
        7: FailureKind.INVALID_REQUEST,
        8: 200,
    }


@pytest.mark.parametrize("oauth", [False, True])
def test_after_the_transport_closed_calls_are_cancelled(
    caller: WebhookCaller, transport: Transport, target: Target, issuer: Issuer, oauth: bool
) -> None:
    transport.close()
    ((_, result),) = _call(caller, target.server.url(), auth=issuer.auth() if oauth else None)
    assert _kind(result) is FailureKind.CANCELLED
    assert target.server.requests == []


class TestOAuth:
    def test_a_token_is_fetched_by_the_client_credentials_grant(
        self, caller: WebhookCaller, issuer: Issuer, target: Target
    ) -> None:
        auth = issuer.auth(client_id="cli ent", client_secret="h:ush", scope="a b", audience="https://api")
        ((_, result),) = _call(caller, target.server.url(), auth=auth)
        assert result.status == 200
        assert target.tokens == ["token-1"]
        (request,) = issuer.server.requests
        assert (request.method, request.target) == ("POST", "/token")
        assert parse_qs(request.body.decode()) == {
            "grant_type": ["client_credentials"],
            "scope": ["a b"],
            "audience": ["https://api"],
        }
        credentials = base64.b64decode(request.headers["authorization"].removeprefix("Basic "))
        assert credentials == b"cli+ent:h%3Aush"

    def test_one_fetch_serves_all_who_wait(
        self, caller: WebhookCaller, issuer: Issuer, target: Target
    ) -> None:
        issuer.hold = threading.Event()
        threading.Timer(0.05, issuer.hold.set).start()
        ended = _call(caller, target.server.url(), times=20, auth=issuer.auth())
        assert {result.status for _, result in ended} == {200}
        assert issuer.issued == 1

    def test_a_token_is_used_until_shortly_before_it_expires(
        self, caller: WebhookCaller, issuer: Issuer, target: Target, clock: Clock
    ) -> None:
        for seconds in (0.0, 3569.0, 1.0, 3569.0):
            clock.seconds += seconds
            _call(caller, target.server.url(), auth=issuer.auth())
        assert target.tokens == ["token-1", "token-1", "token-2", "token-2"]

    def test_a_short_lived_token_is_used_for_half_its_life(
        self, caller: WebhookCaller, issuer: Issuer, target: Target, clock: Clock
    ) -> None:
        issuer.answer["expires_in"] = "10"
        for seconds in (0.0, 4.0, 1.0):
            clock.seconds += seconds
            _call(caller, target.server.url(), auth=issuer.auth())
        assert target.tokens == ["token-1", "token-1", "token-2"]

    @pytest.mark.parametrize(
        "other", [{"client_secret": "guess"}, {"client_id": "x"}, {"scope": "x"}, {"audience": "x"}]
    )
    def test_other_credentials_never_get_a_cached_token(
        self, caller: WebhookCaller, issuer: Issuer, target: Target, other: dict[str, str]
    ) -> None:
        _call(caller, target.server.url(), auth=issuer.auth())
        _call(caller, target.server.url(), auth=issuer.auth(**other))
        assert target.tokens == ["token-1", "token-2"]

    def test_after_a_401_it_is_refreshed_once_within_the_attempt(
        self, caller: WebhookCaller, issuer: Issuer, target: Target
    ) -> None:
        target.accepted = {"token-2"}
        ((request, result),) = _call(caller, target.server.url(), auth=issuer.auth())
        assert result.status == 200
        assert target.tokens == ["token-1", "token-2"]
        assert request is not None
        assert dict(request.headers)["Authorization"] == "Bearer token-2"

    def test_a_second_401_is_the_result(self, caller: WebhookCaller, issuer: Issuer, target: Target) -> None:
        target.accepted = set()
        ((_, result),) = _call(caller, target.server.url(), auth=issuer.auth())
        assert (result.status, result.failure) == (401, None)
        assert target.tokens == ["token-1", "token-2"]

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            ("400 Bad Request", FailureKind.OAUTH_REFUSED),
            ("401 Unauthorized", FailureKind.OAUTH_REFUSED),
            ("302 Found", FailureKind.OAUTH_REFUSED),
            ("429 Too Many Requests", FailureKind.OAUTH_UNAVAILABLE),
            ("503 Service Unavailable", FailureKind.OAUTH_UNAVAILABLE),
        ],
    )
    def test_a_refusing_or_failing_endpoint_is_a_failure_of_its_own(
        self, caller: WebhookCaller, issuer: Issuer, target: Target, status: str, kind: FailureKind
    ) -> None:
        issuer.status = status
        ((request, result),) = _call(caller, target.server.url(), auth=issuer.auth())
        assert _kind(result) is kind
        assert request is None
        assert target.server.requests == []

    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"[]",
            b"<html>",
            b'{"token_type":"bearer"}',
            b'{"access_token":5}',
            b'{"access_token":""}',
            b'{"access_token":"a\\r\\nX: b"}',
            b'{"access_token":"t","token_type":"mac"}',
        ],
    )
    def test_an_answer_without_a_usable_token_is_a_refusal(
        self, caller: WebhookCaller, issuer: Issuer, target: Target, raw: bytes
    ) -> None:
        issuer.raw = raw
        ((_, result),) = _call(caller, target.server.url(), auth=issuer.auth())
        assert _kind(result) is FailureKind.OAUTH_REFUSED

    @pytest.mark.parametrize(
        "expires_in", ["1" + "0" * 400, "1e999", "NaN", "-5", "null", '"soon"', "[]", '"60"']
    )
    def test_whatever_the_endpoint_says_of_the_lifetime_the_token_is_used(
        self, caller: WebhookCaller, issuer: Issuer, target: Target, expires_in: str
    ) -> None:
        issuer.raw = b'{"access_token":"t","expires_in":%b}' % expires_in.encode()
        for ((_, result),) in (_call(caller, target.server.url(), auth=issuer.auth()) for _ in range(2)):
            assert result.status == 200
        assert target.tokens == ["t", "t"]

    def test_a_failure_is_not_remembered(self, caller: WebhookCaller, issuer: Issuer, target: Target) -> None:
        issuer.status = "503 Service Unavailable"
        _call(caller, target.server.url(), auth=issuer.auth())
        issuer.status = "200 OK"
        ((_, result),) = _call(caller, target.server.url(), auth=issuer.auth())
        assert result.status == 200

    def test_an_endpoint_that_hangs_ends_at_the_attempt_s_deadline(
        self, caller: WebhookCaller, issuer: Issuer, target: Target
    ) -> None:
        issuer.hold = threading.Event()
        ((_, result),) = _call(caller, target.server.url(), auth=issuer.auth(), timeout_ms=300)
        issuer.hold.set()
        assert _kind(result) is FailureKind.OAUTH_UNAVAILABLE
        assert result.phases.total >= 300, "the attempt took as long as its token did"

    def test_an_endpoint_at_a_forbidden_address_is_blocked(
        self, make_transport: MakeTransport, issuer: Issuer, target: Target
    ) -> None:
        transport = make_transport(
            TargetPolicy.of(allowed_hosts=["hooks.example"]), resolve={"hooks.example": "127.0.0.1"}
        )
        caller = WebhookCaller(transport, OAuthTokens(transport), now=lambda: CONTEXT.scheduled_at)
        ((_, result),) = _call(caller, target.server.url(host="hooks.example"), auth=issuer.auth())
        assert _kind(result) is FailureKind.BLOCKED
        assert issuer.server.connections == 0
        assert target.server.connections == 0

    def test_the_client_secret_is_in_no_message(
        self, caller: WebhookCaller, issuer: Issuer, target: Target
    ) -> None:
        issuer.status = "401 Unauthorized"
        ((_, result),) = _call(caller, target.server.url(), auth=issuer.auth())
        assert "hush" not in repr(result)
