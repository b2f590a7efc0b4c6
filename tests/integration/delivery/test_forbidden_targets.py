"""Addresses that must not be reached, whatever name, notation or redirect leads there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from webhookcron.core.outcomes import FailureKind
from webhookcron.core.targets import Refusal, TargetPolicy
from webhookcron.delivery.transport import HttpResult

if TYPE_CHECKING:
    from tests.integration.delivery.conftest import MakeRequest, MakeTransport, Peer, Serve, Server

PUBLIC_ONLY = TargetPolicy.of()
NETWORKS = "WEBHOOKCRON_ALLOWED_TARGET_NETWORKS"


@pytest.fixture
def server(serve: Serve) -> Server:
    """A server on loopback that says where requests were to go."""

    def script(peer: Peer) -> None:
        while (request := peer.read_request()) is not None:
            peer.respond(body=request.target.encode())

    return serve(script)


def _assert_blocked(result: HttpResult, server: Server, naming: str = NETWORKS) -> None:
    assert result.failure is not None
    assert result.failure.kind is FailureKind.BLOCKED
    assert not result.failure.retryable
    assert naming in result.failure.message
    assert server.connections == 0


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0x0.1",
        "0177.0.0.1",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "localhost",
        "LOCALHOST.",
    ],
)
def test_loopback_is_not_reached_in_any_notation(
    make_transport: MakeTransport, server: Server, post: MakeRequest, host: str
) -> None:
    _assert_blocked(make_transport(PUBLIC_ONLY).send(post(server.url(host=host))), server)


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "[::ffff:127.0.0.1]"])
def test_the_same_notations_lead_there_where_loopback_is_allowed(
    make_transport: MakeTransport, server: Server, post: MakeRequest, host: str
) -> None:
    result = make_transport(TargetPolicy.of(allowed_networks=["127.0.0.0/8"])).send(
        post(server.url(host=host))
    )
    assert (result.status, result.failure) == (200, None)


@pytest.mark.parametrize(
    "addresses",
    ["127.0.0.1", "::1", "169.254.169.254", "10.0.0.1", "::ffff:127.0.0.1", "10.0.0.1,127.0.0.1"],
)
def test_a_name_that_resolves_to_a_private_address_is_refused(
    make_transport: MakeTransport, server: Server, post: MakeRequest, addresses: str
) -> None:
    transport = make_transport(PUBLIC_ONLY, resolve={"name.example": addresses})
    result = transport.send(post(server.url(host="name.example")))
    _assert_blocked(result, server)
    assert result.status is None


@pytest.mark.parametrize("addresses", ["10.0.0.1,127.0.0.1", "127.0.0.1,10.0.0.1", "127.0.0.1,fe80::1"])
def test_a_refused_address_ends_the_call_though_another_one_is_allowed(
    make_transport: MakeTransport, server: Server, post: MakeRequest, addresses: str
) -> None:
    policy = TargetPolicy.of(allowed_networks=["127.0.0.0/8"])
    transport = make_transport(policy, resolve={"name.example": addresses})
    _assert_blocked(transport.send(post(server.url(host="name.example"))), server)


def test_an_address_is_judged_once_more_as_its_socket_opens(
    make_transport: MakeTransport, server: Server, post: MakeRequest
) -> None:
    class Wavering(TargetPolicy):
        """Allows an address when it is asked first, and not again."""

        def judge_address(self, host: str, address: Any, port: int) -> Refusal | None:
            judged.append(str(address))
            return PUBLIC_ONLY.judge_address(host, address, port) if len(judged) > 1 else None

    judged: list[str] = []
    transport = make_transport(Wavering(), resolve={"name.example": "127.0.0.1"})
    _assert_blocked(transport.send(post(server.url(host="name.example"))), server)
    assert judged == ["127.0.0.1", "127.0.0.1"]


def test_a_name_that_leads_elsewhere_later_is_judged_by_where_it_leads_then(
    make_transport: MakeTransport, serve: Serve, post: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webhookcron.delivery.names.FRESH_SECONDS", 0)
    addresses = {"name.example": "127.0.0.1"}
    # The connection ends with the answer, so that the next call needs one of its own.
    server = serve(lambda peer: (peer.read_request(), peer.respond(connection="close"))[1])
    transport = make_transport(TargetPolicy.of(allowed_networks=["127.0.0.1/32"]), resolve=addresses)
    assert transport.send(post(server.url(host="name.example"))).status == 200
    addresses["name.example"] = "127.0.0.2"
    result = transport.send(post(server.url(host="name.example")))
    assert result.failure is not None
    assert (result.failure.kind, server.connections) == (FailureKind.BLOCKED, 1)


def test_a_listed_name_may_be_private(
    make_transport: MakeTransport, server: Server, post: MakeRequest
) -> None:
    policy = TargetPolicy.of(allowed_hosts=["name.example"])
    transport = make_transport(policy, resolve={"name.example": "127.0.0.1"})
    assert transport.send(post(server.url(host="name.example"))).status == 200


def test_the_platform_s_own_port_is_refused_inside_an_allowed_network(
    make_transport: MakeTransport, server: Server, post: MakeRequest
) -> None:
    policy = TargetPolicy.of(allowed_networks=["127.0.0.0/8"], always_refused=[("127.0.0.1", server.port)])
    transport = make_transport(policy, resolve={"name.example": "127.0.0.2"})
    for host in ("127.0.0.1", "127.0.0.2", "name.example"):
        _assert_blocked(transport.send(post(server.url(host=host))), server, naming="platform itself")


@pytest.mark.parametrize(
    ("policy", "naming"),
    [
        (TargetPolicy.of(allowed_hosts=["other.example"]), "WEBHOOKCRON_ALLOWED_TARGET_HOSTS"),
        (TargetPolicy.of(allowed_ports=[443]), "WEBHOOKCRON_ALLOWED_TARGET_PORTS"),
    ],
)
def test_a_refusal_names_the_variable_that_would_allow_it(
    make_transport: MakeTransport, server: Server, post: MakeRequest, policy: TargetPolicy, naming: str
) -> None:
    _assert_blocked(make_transport(policy).send(post(server.url())), server, naming)


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/", "file:///etc/hostname", "gopher://127.0.0.1:70/x", "/etc"]
)
def test_other_schemes_are_refused(make_transport: MakeTransport, post: MakeRequest, url: str) -> None:
    result = make_transport().send(post(url))
    assert result.failure is not None
    assert result.failure.kind is FailureKind.BLOCKED


def test_proxies_and_netrc_of_the_environment_are_ignored(
    make_transport: MakeTransport,
    server: Server,
    serve: Serve,
    post: MakeRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    proxy = serve(lambda peer: peer.respond("418 Proxied"))
    home = tmp_path_factory.mktemp("home")
    (home / ".netrc").write_text("machine 127.0.0.1 login someone password hush\n")
    monkeypatch.setenv("HOME", str(home))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url())
    monkeypatch.setenv("no_proxy", "")
    assert make_transport().send(post(server.url())).status == 200
    assert proxy.connections == 0
    assert "authorization" not in server.requests[0].headers


class TestRedirects:
    def test_they_are_not_followed_unless_asked_for(
        self, make_transport: MakeTransport, serve: Serve, post: MakeRequest
    ) -> None:
        server = serve(_redirecting("302 Found", "/next"))
        result = make_transport().send(post(server.url()))
        assert (result.status, result.failure, result.redirects) == (302, None, ())
        assert len(server.requests) == 1

    def test_they_are_followed_when_asked_for(
        self, make_transport: MakeTransport, serve: Serve, server: Server, post: MakeRequest
    ) -> None:
        first = serve(_redirecting("307 Temporary Redirect", server.url("/arrived")))
        result = make_transport().send(post(first.url(), follow_redirects=True))
        assert (result.status, result.body) == (200, b"/arrived")
        assert [(hop.status, hop.url) for hop in result.redirects] == [(307, server.url("/arrived"))]
        assert (server.requests[0].method, server.requests[0].body) == ("POST", b'{"a":1}')

    def test_after_303_it_is_a_get_without_body(
        self, make_transport: MakeTransport, serve: Serve, server: Server, post: MakeRequest
    ) -> None:
        first = serve(_redirecting("303 See Other", server.url()))
        headers = (("Content-Type", "application/json"), ("X-Kept", "yes"))
        make_transport().send(post(first.url(), follow_redirects=True, headers=headers))
        (request,) = server.requests
        assert (request.method, request.body) == ("GET", b"")
        assert "content-type" not in request.headers
        assert request.headers["x-kept"] == "yes"

    def test_a_loop_ends_after_five(
        self, make_transport: MakeTransport, serve: Serve, post: MakeRequest
    ) -> None:
        server = serve(_redirecting("302 Found", "/again"))
        result = make_transport().send(post(server.url(), follow_redirects=True))
        assert result.failure is not None
        assert result.failure.kind is FailureKind.REDIRECT
        assert (result.status, len(result.redirects), len(server.requests)) == (302, 5, 6)

    def test_one_to_loopback_is_refused(
        self, make_transport: MakeTransport, serve: Serve, server: Server, post: MakeRequest
    ) -> None:
        policy = TargetPolicy.of(allowed_hosts=["*", "name.example"])
        transport = make_transport(policy, resolve={"name.example": "127.0.0.1", "evil.example": "127.0.0.1"})
        for host in ("127.0.0.1", "2130706433", "localhost", "evil.example"):
            first = serve(_redirecting("302 Found", server.url(host=host)))
            result = transport.send(post(first.url(host="name.example"), follow_redirects=True))
            assert len(first.requests) == 1
            _assert_blocked(result, server)

    @pytest.mark.parametrize(
        "location", ["file:///etc/hostname", "gopher://127.0.0.1/", "http://a:b@name.example/"]
    )
    def test_one_to_another_scheme_or_with_credentials_is_refused(
        self, make_transport: MakeTransport, serve: Serve, post: MakeRequest, location: str
    ) -> None:
        server = serve(_redirecting("302 Found", location))
        result = make_transport().send(post(server.url(), follow_redirects=True))
        assert result.failure is not None
        assert result.failure.kind is FailureKind.REDIRECT

    def test_one_to_a_port_that_is_not_allowed_is_refused(
        self, make_transport: MakeTransport, serve: Serve, server: Server, post: MakeRequest
    ) -> None:
        first = serve(_redirecting("302 Found", server.url()))
        policy = TargetPolicy.of(allowed_networks=["127.0.0.0/8"], allowed_ports=[first.port])
        result = make_transport(policy).send(post(first.url(), follow_redirects=True))
        _assert_blocked(result, server, "WEBHOOKCRON_ALLOWED_TARGET_PORTS")

    def test_another_host_gets_no_credentials(
        self, make_transport: MakeTransport, serve: Serve, server: Server, post: MakeRequest
    ) -> None:
        headers = (
            ("Authorization", "Bearer t"),
            ("Cookie", "a=b"),
            ("X-Key", "k"),
            ("webhook-signature", "v1,x"),
            ("X-Plain", "p"),
        )
        transport = make_transport(resolve={"other.example": "127.0.0.1"})
        first = serve(_redirecting("307 Temporary Redirect", server.url(host="other.example")))
        request = post(first.url(), follow_redirects=True, headers=headers, confidential=frozenset({"x-key"}))
        assert transport.send(request).status == 200
        seen = server.requests[0].headers
        assert seen["x-plain"] == "p"
        assert not {"authorization", "cookie", "x-key", "webhook-signature"} & seen.keys()
        assert first.requests[0].headers["authorization"] == "Bearer t"

    def test_the_deadline_is_one_for_all_hops(
        self, make_transport: MakeTransport, serve: Serve, post: MakeRequest
    ) -> None:
        def script(peer: Peer) -> None:
            while peer.read_request() is not None and not peer.server.over.wait(0.15):
                peer.respond("302 Found", Location="/again")

        result = make_transport().send(post(serve(script).url(), timeout_ms=400, follow_redirects=True))
        assert result.failure is not None
        assert result.failure.kind is FailureKind.TIMEOUT
        assert 1 <= len(result.redirects) < 5


def _redirecting(status: str, location: str) -> Callable[[Peer], None]:
    def script(peer: Peer) -> None:
        while peer.read_request() is not None:
            peer.respond(status, body=b"moved", Location=location)

    return script
