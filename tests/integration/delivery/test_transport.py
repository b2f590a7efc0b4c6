"""The transport itself: bounds, turns, closing, TLS, HTTP/2."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from webhookcron.core.outcomes import FailureKind
from webhookcron.core.target_urls import TargetUrl
from webhookcron.core.targets import TargetPolicy
from webhookcron.delivery.transport import HttpRequest, HttpResult, Transport, TransportClosed

if TYPE_CHECKING:
    from tests.integration.delivery.conftest import Certificates, MakeRequest, MakeTransport, Peer, Serve


def _kind(result: HttpResult) -> FailureKind | None:
    return None if result.failure is None else result.failure.kind


def _echo(peer: Peer) -> None:
    while (request := peer.read_request()) is not None:
        peer.respond(body=request.body)


class Results:
    """Collects results and tells when there are enough."""

    def __init__(self, expected: int) -> None:
        self.all: list[HttpResult] = []
        self._expected = expected
        self._complete = threading.Event()

    def __call__(self, result: HttpResult) -> None:
        self.all.append(result)
        if len(self.all) == self._expected:
            self._complete.set()

    def wait(self) -> list[HttpResult]:
        assert self._complete.wait(60), f"{len(self.all)} of {self._expected} results"
        return self.all


class TestRequests:
    @pytest.mark.parametrize(
        ("method", "body", "length"),
        [
            ("POST", b"abc", "3"),
            ("POST", b"", "0"),
            ("PUT", b"abc", "3"),
            ("PATCH", b"\0\xff", "2"),
            ("DELETE", None, None),
            ("DELETE", b"abc", "3"),
            ("GET", None, None),
            ("GET", b"abc", "3"),
            ("OPTIONS", None, None),
        ],
    )
    def test_method_body_and_length_are_sent_as_given(
        self, transport: Transport, serve: Serve, method: str, body: bytes | None, length: str | None
    ) -> None:
        server = serve(_echo)
        result = transport.send(
            HttpRequest(method=method, url=server.url("/x?y=%20"), body=body, timeout_ms=30_000)
        )
        (request,) = server.requests
        assert result.status == 200
        assert (request.method, request.target, request.body) == (method, "/x?y=%20", body or b"")
        assert request.headers.get("content-length") == length

    def test_a_head_request_waits_for_no_body(self, transport: Transport, serve: Serve) -> None:
        def script(peer: Peer) -> None:
            peer.read_request()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
            peer.hang()

        result = transport.send(HttpRequest(method="HEAD", url=serve(script).url(), timeout_ms=30_000))
        assert (result.status, result.body, result.failure) == (200, b"", None)

    def test_methods_take_turns_on_one_connection(self, transport: Transport, serve: Serve) -> None:
        server = serve(_echo)
        for method, body in (("POST", b"1"), ("GET", None), ("PUT", b"2"), ("DELETE", None), ("POST", b"3")):
            transport.send(HttpRequest(method=method, url=server.url(), body=body, timeout_ms=30_000))
        assert [(request.method, request.body) for request in server.requests] == [
            ("POST", b"1"),
            ("GET", b""),
            ("PUT", b"2"),
            ("DELETE", b""),
            ("POST", b"3"),
        ]
        assert server.connections == 1

    def test_headers_are_sent_as_given_and_no_others_that_matter(
        self, transport: Transport, serve: Serve, post: MakeRequest
    ) -> None:
        server = serve(_echo)
        transport.send(post(server.url(), headers=(("X-A", "grün"), ("X-Empty", ""), ("X-Semi", "a;b"))))
        headers = server.requests[0].headers
        assert headers["x-a"] == "grün"
        assert headers["x-empty"] == ""
        assert headers["x-semi"] == "a;b"
        assert headers["user-agent"] == "webhookcron/test"
        assert headers["host"] == f"127.0.0.1:{server.port}"
        assert not {"expect", "content-type", "cookie", "authorization"} & headers.keys()

    def test_a_user_agent_of_the_request_comes_first(
        self, transport: Transport, serve: Serve, post: MakeRequest
    ) -> None:
        server = serve(_echo)
        transport.send(post(server.url(), headers=(("User-Agent", "mine"),)))
        assert server.requests[0].headers["user-agent"] == "mine"

    @pytest.mark.parametrize(
        "changes",
        [
            {"headers": (("X-A", "a\r\nX-B: b"),)},
            {"headers": (("X-A\n", "a"),)},
            {"headers": (("X-A", "a\0"),)},
            {"headers": (("X-A", "€"),)},
            {"method": "GET / HTTP/1.1\r\nX: y"},
        ],
    )
    def test_a_request_that_would_break_the_framing_is_not_sent(
        self, transport: Transport, serve: Serve, post: MakeRequest, changes: dict[str, Any]
    ) -> None:
        server = serve(_echo)
        result = transport.send(post(server.url(), **changes))
        assert _kind(result) is FailureKind.INVALID_REQUEST
        assert server.requests == []
        assert transport.send(post(server.url())).status == 200
        assert transport.in_flight == 0

    def test_cookies_are_not_kept(self, transport: Transport, serve: Serve, post: MakeRequest) -> None:
        def script(peer: Peer) -> None:
            while peer.read_request() is not None:
                peer.respond(Set_Cookie="a=b; Path=/")

        server = serve(script)
        transport.send(post(server.url()))
        transport.send(post(server.url()))
        assert "cookie" not in server.requests[1].headers

    def test_the_result_tells_where_it_was_and_how_long_it_took(
        self, transport: Transport, serve: Serve, post: MakeRequest
    ) -> None:
        result = transport.send(post(serve(_echo).url()))
        assert (result.remote_address, result.http_version) == ("127.0.0.1", "1.1")
        phases = result.phases
        assert phases.connect is not None
        assert phases.first_byte is not None
        assert phases.tls is None
        assert 0 < phases.connect <= phases.first_byte <= phases.total


class TestBounds:
    def test_no_more_than_so_many_calls_run_at_a_time(
        self, make_transport: MakeTransport, serve: Serve, post: MakeRequest
    ) -> None:
        transport = make_transport(max_connections=5, max_per_host=5)
        lock = threading.Lock()
        at_once: list[int] = []
        running = 0

        def script(peer: Peer) -> None:
            nonlocal running
            while peer.read_request() is not None:
                with lock:
                    running += 1
                    at_once.append(running)
                peer.server.over.wait(0.005)
                with lock:
                    running -= 1
                peer.respond()

        server = serve(script)
        results = Results(100)
        transport.submit_many([(post(server.url()), results)] * 100)
        assert {result.status for result in results.wait()} == {200}
        assert max(at_once) <= 5
        assert server.connections <= 5

    def test_a_hanging_host_leaves_room_for_others(
        self, make_transport: MakeTransport, serve: Serve, post: MakeRequest
    ) -> None:
        transport = make_transport(max_connections=4, max_per_host=2, resolve={"slow.example": "127.0.0.1"})
        released = threading.Event()

        def slow(peer: Peer) -> None:
            while peer.read_request() is not None:
                released.wait(60)
                peer.respond()

        hanging, quick = serve(slow), serve(_echo)
        slow_results, quick_results = Results(50), Results(50)
        transport.submit_many([(post(hanging.url(host="slow.example")), slow_results)] * 50)
        transport.submit_many([(post(quick.url()), quick_results)] * 50)
        assert {result.status for result in quick_results.wait()} == {200}
        assert slow_results.all == []
        assert transport.in_flight == 50
        released.set()
        assert {result.status for result in slow_results.wait()} == {200}
        assert transport.in_flight == 0

    def test_the_deadline_starts_when_the_call_does(
        self, make_transport: MakeTransport, serve: Serve, post: MakeRequest
    ) -> None:
        transport = make_transport(max_connections=1)

        def script(peer: Peer) -> None:
            while peer.read_request() is not None:
                peer.server.over.wait(0.1)
                peer.respond()

        results = Results(10)
        transport.submit_many([(post(serve(script).url(), timeout_ms=900), results)] * 10)
        assert {result.status for result in results.wait()} == {200}

    def test_a_thousand_calls_at_once_are_a_thousand_results(
        self, make_transport: MakeTransport, serve: Serve, post: MakeRequest
    ) -> None:
        transport = make_transport(max_connections=100, max_per_host=100)
        server = serve(_echo)
        results = Results(1000)
        transport.submit_many((post(server.url(), body=b"%d" % number), results) for number in range(1000))
        assert {int(result.body) for result in results.wait()} == set(range(1000))

    @pytest.mark.parametrize("bounds", [{"max_connections": 0}, {"max_per_host": 0}])
    def test_a_transport_without_room_is_refused(
        self, make_transport: MakeTransport, bounds: dict[str, int]
    ) -> None:
        with pytest.raises(ValueError, match="room"):
            make_transport(**bounds)


class TestHandingOver:
    def test_a_result_may_lead_to_the_next_call(
        self, transport: Transport, serve: Serve, post: MakeRequest
    ) -> None:
        url = serve(_echo).url()
        results = Results(1)

        def on_done(result: HttpResult) -> None:
            number = int(result.body)
            transport.submit(post(url, body=b"%d" % (number + 1)), results if number == 9 else on_done)

        transport.submit(post(url, body=b"0"), on_done)
        assert results.wait()[0].body == b"10"

    def test_an_error_in_on_done_is_logged_and_harms_no_other_call(
        self, transport: Transport, serve: Serve, post: MakeRequest, caplog: pytest.LogCaptureFixture
    ) -> None:
        url = serve(_echo).url()
        reached = threading.Event()

        def fails(result: HttpResult) -> None:
            reached.set()
            raise RuntimeError("no room for results")

        transport.submit(post(url), fails)
        assert reached.wait(30)
        assert transport.send(post(url)).status == 200
        assert "could not be handed over" in caplog.text

    def test_a_url_that_nobody_can_judge_harms_no_other_call(
        self, make_transport: MakeTransport, serve: Serve, post: MakeRequest, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Broken(TargetPolicy):
            def judge_url(self, url: str) -> TargetUrl:
                if "bad" in url:
                    raise RuntimeError("no rule does this")
                return super().judge_url(url)

        server = serve(lambda peer: (peer.read_request(), peer.respond())[1])
        transport = make_transport(Broken.of(allowed_networks=["127.0.0.0/8"]))
        result = transport.send(post(server.url("/bad")))
        assert result.failure is not None
        assert result.failure.kind is FailureKind.INVALID_REQUEST
        assert transport.send(post(server.url("/good"))).status == 200
        assert "could not be judged" in caplog.text

    def test_send_refuses_to_wait_for_its_own_thread(
        self, transport: Transport, serve: Serve, post: MakeRequest
    ) -> None:
        url = serve(_echo).url()
        errors: list[str] = []
        done = threading.Event()

        def on_done(result: HttpResult) -> None:
            try:
                transport.send(post(url))
            except RuntimeError as error:
                errors.append(str(error))
            done.set()

        transport.submit(post(url), on_done)
        assert done.wait(30)
        assert len(errors) == 1

    def test_many_threads_may_submit(self, transport: Transport, serve: Serve, post: MakeRequest) -> None:
        url = serve(_echo).url()
        results = Results(200)

        def submit() -> None:
            for _ in range(20):
                transport.submit(post(url), results)

        threads = [threading.Thread(target=submit) for _ in range(10)]
        for thread in threads:
            thread.start()
        assert {result.status for result in results.wait()} == {200}
        for thread in threads:
            thread.join()


class TestClosing:
    def test_calls_that_hang_are_cancelled_and_waiting_ones_never_sent(
        self, make_transport: MakeTransport, serve: Serve, post: MakeRequest
    ) -> None:
        transport = make_transport(max_connections=1)
        begun = threading.Event()

        def script(peer: Peer) -> None:
            # Whoever connects and says nothing, on a port that was somebody else's before, has begun nothing.
            if peer.read_request():
                begun.set()
            peer.hang()

        server = serve(script)
        results = Results(3)
        transport.submit_many([(post(server.url()), results)] * 3)
        assert begun.wait(30)
        transport.close()
        assert {_kind(result) for result in results.wait()} == {FailureKind.CANCELLED}
        assert len(server.requests) == 1
        assert transport.in_flight == 0

    def test_running_calls_may_end_within_the_time_given(
        self, make_transport: MakeTransport, serve: Serve, post: MakeRequest
    ) -> None:
        transport = make_transport()
        begun, go_on = threading.Event(), threading.Event()

        def script(peer: Peer) -> None:
            peer.read_request()
            begun.set()
            go_on.wait(30)
            peer.respond()

        results = Results(1)
        transport.submit(post(serve(script).url()), results)
        assert begun.wait(30)
        threading.Timer(0.05, go_on.set).start()
        transport.close(30)
        assert results.wait()[0].status == 200

    def test_nothing_is_taken_afterwards(self, make_transport: MakeTransport, post: MakeRequest) -> None:
        transport = make_transport()
        transport.close()
        transport.close()
        assert transport.closed
        with pytest.raises(TransportClosed):
            transport.send(post("http://127.0.0.1:1/"))

    def test_it_may_be_closed_from_a_result(
        self, make_transport: MakeTransport, serve: Serve, post: MakeRequest
    ) -> None:
        transport = make_transport()
        closed = threading.Event()

        def on_done(result: HttpResult) -> None:
            transport.close()
            closed.set()

        transport.submit(post(serve(_echo).url()), on_done)
        assert closed.wait(30)
        transport.close()


class TestTls:
    def test_a_certificate_of_a_trusted_issuer_is_accepted(
        self, make_transport: MakeTransport, serve: Serve, post: MakeRequest, certificates: Certificates
    ) -> None:
        transport = make_transport(ca_file=certificates.ca_file)
        server = serve(_echo, certificates.context("127.0.0.1", "localhost"))
        result = transport.send(post(server.url()))
        assert (result.status, result.failure) == (200, None)
        assert result.phases.tls is not None
        again = transport.send(post(server.url()))
        assert again.reused_connection

    @pytest.mark.parametrize(
        ("names", "flaws"),
        [
            (("127.0.0.1",), {"expired": True}),
            (("127.0.0.1",), {"self_signed": True}),
            (("other.example",), {}),
        ],
    )
    def test_an_expired_self_signed_or_foreign_certificate_is_a_permanent_failure(
        self,
        make_transport: MakeTransport,
        serve: Serve,
        post: MakeRequest,
        certificates: Certificates,
        names: tuple[str, ...],
        flaws: dict[str, bool],
    ) -> None:
        transport = make_transport(ca_file=certificates.ca_file)
        server = serve(_echo, certificates.context(*names, **flaws))
        result = transport.send(post(server.url()))
        assert _kind(result) is FailureKind.CERTIFICATE
        assert result.failure is not None
        assert not result.failure.retryable
        assert server.requests == []

    def test_an_unknown_issuer_is_a_permanent_failure(
        self, make_transport: MakeTransport, serve: Serve, post: MakeRequest, certificates: Certificates
    ) -> None:
        server = serve(_echo, certificates.context("127.0.0.1"))
        assert _kind(make_transport().send(post(server.url()))) is FailureKind.CERTIFICATE

    def test_verification_can_be_waived_for_one_request_only(
        self, make_transport: MakeTransport, serve: Serve, post: MakeRequest, certificates: Certificates
    ) -> None:
        transport = make_transport()
        server = serve(_echo, certificates.context("other.example", self_signed=True))
        assert transport.send(post(server.url(), verify_tls=False)).status == 200
        assert _kind(transport.send(post(server.url()))) is FailureKind.CERTIFICATE

    @pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
    def test_a_handshake_that_is_cut_off_may_be_tried_again(
        self, transport: Transport, serve: Serve, post: MakeRequest, answer: bytes
    ) -> None:
        def script(peer: Peer) -> None:
            peer.socket.recv(1024)
            peer.send(answer)

        server = serve(script)
        result = transport.send(post(f"https://127.0.0.1:{server.port}/"))
        assert _kind(result) is FailureKind.TLS
        assert result.failure is not None
        assert result.failure.retryable

    def test_a_handshake_that_hangs_ends_at_the_deadline(
        self, transport: Transport, serve: Serve, post: MakeRequest
    ) -> None:
        server = serve(lambda peer: peer.hang())
        result = transport.send(post(f"https://127.0.0.1:{server.port}/", timeout_ms=300))
        assert _kind(result) is FailureKind.TIMEOUT


class TestHttp2:
    def test_it_is_spoken_where_it_is_offered_and_calls_share_the_connection(
        self, make_transport: MakeTransport, serve: Serve, post: MakeRequest, certificates: Certificates
    ) -> None:
        pytest.importorskip("h2", reason="the HTTP/2 server of this test needs the package h2")
        transport = make_transport(ca_file=certificates.ca_file)
        server = serve(_http2, certificates.context("127.0.0.1", protocols=("h2", "http/1.1")))
        first = transport.send(post(server.url(), body=b"0"))
        assert (first.status, first.http_version, first.failure) == (200, "2", None)
        assert first.header("x-method") == "POST"
        results = Results(50)
        transport.submit_many((post(server.url(), body=b"%d" % number), results) for number in range(50))
        assert {int(result.body) for result in results.wait()} == set(range(50))
        assert {result.http_version for result in results.all} == {"2"}
        assert server.connections == 1

    def test_without_the_offer_it_is_http_1(
        self, make_transport: MakeTransport, serve: Serve, post: MakeRequest, certificates: Certificates
    ) -> None:
        transport = make_transport(ca_file=certificates.ca_file)
        server = serve(_echo, certificates.context("127.0.0.1", protocols=("http/1.1",)))
        assert transport.send(post(server.url())).http_version == "1.1"


def _http2(peer: Peer) -> None:
    """Answer every stream with its own body."""
    from h2.config import H2Configuration
    from h2.connection import H2Connection
    from h2.events import DataReceived, RequestReceived, StreamEnded

    connection = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
    connection.initiate_connection()
    peer.send(connection.data_to_send())
    methods: dict[int, str] = {}
    bodies: dict[int, bytes] = {}
    while data := peer.socket.recv(65536):
        for event in connection.receive_data(data):
            if isinstance(event, RequestReceived):
                methods[event.stream_id] = dict(event.headers)[":method"]
                bodies[event.stream_id] = b""
            elif isinstance(event, DataReceived):
                bodies[event.stream_id] += event.data
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, StreamEnded):
                stream = event.stream_id
                connection.send_headers(stream, [(":status", "200"), ("x-method", methods.pop(stream))])
                connection.send_data(stream, bodies.pop(stream), end_stream=True)
        peer.send(connection.data_to_send())


def test_ipv6_targets_are_reached(transport: Transport, post: MakeRequest) -> None:
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with listener:
        results = Results(1)
        transport.submit(post(f"http://[::1]:{listener.getsockname()[1]}/"), results)
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            (result,) = results.wait()
    assert (result.status, result.remote_address) == (200, "::1")


def test_it_tells_of_a_pause_after_all_results_also_of_calls_that_were_never_sent(
    transport: Transport, serve: Serve, post: MakeRequest
) -> None:
    arrived: list[int | None] = []
    taken: list[int | None] = []
    complete = threading.Event()

    def on_pause() -> None:
        taken.extend(arrived)
        arrived.clear()
        if len(taken) == 3:
            complete.set()

    transport.tell_of_pauses(on_pause)
    good, refused = post(serve(_echo).url()), post("ftp://127.0.0.1/")
    for request in (refused, good, good):
        transport.submit(request, lambda result: arrived.append(result.status))
    assert complete.wait(60), f"only {taken} were told of"
    assert sorted(taken, key=str) == [200, 200, None]
