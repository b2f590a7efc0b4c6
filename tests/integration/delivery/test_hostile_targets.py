"""Targets that hang, drip, flood, lie or break off: each must cost its own call only, and end as it should."""

from __future__ import annotations

import contextlib
import gzip
import resource
import socket
import threading
import zlib
from functools import partial
from typing import TYPE_CHECKING

import pytest

from webhookcron.core.outcomes import FailureKind
from webhookcron.delivery import curl_transfer
from webhookcron.delivery.transport import HttpResult, Transport

if TYPE_CHECKING:
    from tests.integration.delivery.conftest import MakeRequest, MakeTransport, Peer, Serve

KEPT = 16 * 1024
SHORT_MS = 400


def _kind(result: HttpResult) -> FailureKind | None:
    return None if result.failure is None else result.failure.kind


def test_a_target_that_never_accepts_ends_at_the_deadline(transport: Transport, post: MakeRequest) -> None:
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):  # fills the queue of connections, so that the next handshake gets no answer
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        result = transport.send(post(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout_ms=SHORT_MS))
    assert _kind(result) is FailureKind.TIMEOUT
    assert result.status is None


def test_a_target_that_never_answers_ends_at_the_deadline(
    transport: Transport, serve: Serve, post: MakeRequest
) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.hang()

    result = transport.send(post(serve(script).url(), timeout_ms=SHORT_MS))
    assert _kind(result) is FailureKind.TIMEOUT
    assert result.phases.connect is not None
    assert result.phases.first_byte is None


def test_a_target_that_hangs_after_its_headers_ends_at_the_deadline(
    transport: Transport, serve: Serve, post: MakeRequest
) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        peer.hang()

    result = transport.send(post(serve(script).url(), timeout_ms=SHORT_MS))
    assert _kind(result) is FailureKind.TIMEOUT
    assert (result.status, result.body) == (200, b"half")


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nX-Drip: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_target_that_drips_bytes_ends_at_the_deadline(
    transport: Transport, serve: Serve, post: MakeRequest, head: bytes
) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(head)
        while not peer.server.over.wait(0.02):
            peer.send(b"H" if not head else b"x")

    result = transport.send(post(serve(script).url(), timeout_ms=SHORT_MS))
    assert _kind(result) in ({FailureKind.TIMEOUT} if head else {FailureKind.TIMEOUT, FailureKind.PROTOCOL})


def test_an_endless_body_is_cut_and_the_status_counts(
    transport: Transport, serve: Serve, post: MakeRequest
) -> None:
    gone = threading.Event()

    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                peer.send(b"x" * 65536)
        except OSError:
            gone.set()

    result = transport.send(post(serve(script).url()))
    assert result.failure is None
    assert (result.status, result.truncated) == (200, True)
    assert result.body == b"x" * KEPT
    assert gone.wait(30), "the transport kept on reading"


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_decompression_bomb_is_cut_and_takes_no_memory(
    transport: Transport, serve: Serve, post: MakeRequest, encoding: str
) -> None:
    compress = gzip.compress if encoding == "gzip" else zlib.compress
    bomb = compress(bytes(100 * 1024 * 1024))

    def script(peer: Peer) -> None:
        peer.read_request()
        peer.respond(body=bomb, Content_Encoding=encoding)
        peer.hang()

    url = serve(script).url()
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = transport.send(post(url))
    assert (result.status, result.failure, result.truncated) == (200, None, True)
    assert result.body == bytes(KEPT)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 50 * 1024


def test_a_body_is_kept_to_the_byte(transport: Transport, serve: Serve, post: MakeRequest) -> None:
    def script(peer: Peer) -> None:
        while (request := peer.read_request()) is not None:
            peer.respond(body=b"y" * int(request.target[1:]))

    server = serve(script)
    exact = transport.send(post(server.url("/1000"), max_response_bytes=1000))
    longer = transport.send(post(server.url("/1001"), max_response_bytes=1000))
    assert (len(exact.body), exact.truncated) == (1000, False)
    assert (len(longer.body), longer.truncated) == (1000, True)
    assert longer.reused_connection, "reading to the end keeps the connection"


def test_a_compressed_body_arrives_decompressed(
    transport: Transport, serve: Serve, post: MakeRequest
) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.respond(body=gzip.compress(b"hello"), Content_Encoding="gzip")

    assert transport.send(post(serve(script).url())).body == b"hello"


def test_a_body_that_is_not_what_its_encoding_says_is_a_protocol_failure(
    transport: Transport, serve: Serve, post: MakeRequest
) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.respond(body=b"this is no gzip", Content_Encoding="gzip")

    assert _kind(transport.send(post(serve(script).url()))) is FailureKind.PROTOCOL


@pytest.mark.parametrize("coding", ["UTF-8", "zstd", "gzip, compress"])
def test_a_body_in_an_unknown_coding_is_left_out_and_the_status_counts(
    transport: Transport, serve: Serve, post: MakeRequest, coding: str
) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.respond("202 Accepted", body=b"done", Content_Encoding=coding)

    server = serve(script)
    result = transport.send(post(server.url()))
    assert (result.status, result.failure, result.body, result.truncated) == (202, None, b"", True)
    assert len(server.requests) == 1


def test_headers_of_a_megabyte_are_a_protocol_failure(
    transport: Transport, serve: Serve, post: MakeRequest
) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nX-Big: " + b"x" * 1024 * 1024 + b"\r\nContent-Length: 0\r\n\r\n")

    result = transport.send(post(serve(script).url()))
    assert _kind(result) is FailureKind.PROTOCOL
    assert sum(len(name) + len(value) for name, value in result.headers) <= KEPT


def test_a_flood_of_headers_is_kept_to_sixty_four(
    transport: Transport, serve: Serve, post: MakeRequest
) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.respond(**{f"X_{number}": "v" for number in range(500)})

    result = transport.send(post(serve(script).url()))
    assert result.status == 200
    assert len(result.headers) == 64


def test_interim_responses_are_passed_over(transport: Transport, serve: Serve, post: MakeRequest) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 103 Early Hints\r\nX-Hint: a\r\n\r\n" * 10)
        peer.respond("201 Created", X_Real="b")

    result = transport.send(post(serve(script).url()))
    assert result.status == 201
    assert (result.header("x-real"), result.header("x-hint")) == ("b", None)


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: banana\r\n\r\nhello",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"<html>no header at all</html>",
        b"HTTP/1.1 200 OK\r\nX-Nul: a\0b\r\n\r\n",
    ],
)
def test_an_answer_that_is_not_http_is_a_failure_to_try_again(
    transport: Transport, serve: Serve, post: MakeRequest, response: bytes
) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(response)

    result = transport.send(post(serve(script).url(), timeout_ms=10_000))
    assert _kind(result) in (FailureKind.PROTOCOL, FailureKind.RESET)
    assert result.failure is not None
    assert result.failure.retryable


def test_a_reset_in_the_body_is_a_failure_with_its_status(
    transport: Transport, serve: Serve, post: MakeRequest
) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        peer.reset()

    result = transport.send(post(serve(script).url()))
    assert _kind(result) is FailureKind.RESET
    assert result.status == 200


def test_a_body_that_ends_early_is_a_failure(transport: Transport, serve: Serve, post: MakeRequest) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

    assert _kind(transport.send(post(serve(script).url()))) is FailureKind.RESET


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Len",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX-A: b\r\n",
    ],
)
def test_headers_that_end_early_are_a_failure(
    transport: Transport, serve: Serve, post: MakeRequest, head: bytes
) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(head)

    assert _kind(transport.send(post(serve(script).url()))) is FailureKind.RESET


def test_a_connection_closed_without_an_answer_is_a_failure(
    transport: Transport, serve: Serve, post: MakeRequest
) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()

    server = serve(script)
    assert _kind(transport.send(post(server.url()))) is FailureKind.RESET
    assert len(server.requests) == 1


def test_a_204_with_a_body_is_a_204_and_its_body_no_response_to_the_next_call(
    transport: Transport, serve: Serve, post: MakeRequest
) -> None:
    def script(peer: Peer) -> None:
        while (request := peer.read_request()) is not None:
            if request.target == "/first":
                peer.send(b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfake")
            else:
                peer.respond(body=b"real")

    server = serve(script)
    first = transport.send(post(server.url("/first")))
    second = transport.send(post(server.url("/second")))
    assert (first.status, first.body, first.failure) == (204, b"", None)
    assert (second.status, second.body) == (200, b"real")


def test_bytes_that_are_no_text_arrive_as_they_are(
    transport: Transport, serve: Serve, post: MakeRequest
) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.respond(body=bytes(range(256)), X_Latin="gr\u00fcn")

    result = transport.send(post(serve(script).url()))
    assert result.body == bytes(range(256))
    assert result.header("x-latin") == "gr\u00fcn"


def test_an_answer_before_the_request_was_sent_is_taken_or_a_reset(
    transport: Transport, serve: Serve, post: MakeRequest
) -> None:
    def script(peer: Peer) -> None:
        peer.respond("413 Content Too Large", body=b"no", Connection="close")
        # Reads what comes, so that the answer is not lost in a reset.
        while peer.socket.recv(65536):
            pass

    result = transport.send(post(serve(script).url(), body=b"x" * 256 * 1024))
    assert (result.status, result.failure) == (413, None)


def test_an_answer_sent_ahead_is_not_taken_for_the_next_call(
    transport: Transport, serve: Serve, post: MakeRequest
) -> None:
    sent_ahead = threading.Event()

    def script(peer: Peer) -> None:
        while (request := peer.read_request()) is not None:
            peer.respond(body=b"real " + request.body)
            if request.body == b"1":
                peer.respond(body=b"ahead")
                sent_ahead.set()

    server = serve(script)
    assert transport.send(post(server.url(), body=b"1")).body == b"real 1"
    assert sent_ahead.wait(10)
    assert transport.send(post(server.url(), body=b"2")).body == b"real 2"


class TestKeepAlive:
    def test_a_connection_is_used_again(self, transport: Transport, serve: Serve, post: MakeRequest) -> None:
        def script(peer: Peer) -> None:
            while peer.read_request() is not None:
                peer.respond()

        server = serve(script)
        results = [transport.send(post(server.url())) for _ in range(5)]
        assert [result.reused_connection for result in results] == [False, True, True, True, True]
        assert server.connections == 1
        assert results[1].phases.connect is None
        assert results[1].phases.first_byte is not None

    def test_one_that_was_closed_between_calls_is_replaced(
        self, transport: Transport, serve: Serve, post: MakeRequest
    ) -> None:
        closed = threading.Event()

        def script(peer: Peer) -> None:
            peer.read_request()
            peer.respond()
            peer.socket.close()
            closed.set()

        server = serve(script)
        for _ in range(3):
            result = transport.send(post(server.url()))
            assert (result.status, result.failure) == (200, None)
            assert closed.wait(10)
            closed.clear()
        assert len(server.requests) == 3

    def test_one_that_dies_with_the_request_does_not_get_it_sent_twice(
        self, transport: Transport, serve: Serve, post: MakeRequest
    ) -> None:
        def script(peer: Peer) -> None:
            while (request := peer.read_request()) is not None:
                if request.body == b"second":
                    return  # took the request, perhaps acted on it, and vanished
                peer.respond()

        server = serve(script)
        assert transport.send(post(server.url(), body=b"first")).status == 200
        result = transport.send(post(server.url(), body=b"second"))
        assert _kind(result) is FailureKind.RESET
        assert [request.body for request in server.requests] == [b"first", b"second"]

    def test_a_request_of_which_nothing_was_sent_goes_out_on_a_new_connection(
        self, transport: Transport, serve: Serve, post: MakeRequest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened: list[socket.socket] = []

        def recorded(*arguments: int) -> socket.socket:
            opened.append(socket.socket(*arguments))
            return opened[-1]

        def script(peer: Peer) -> None:
            peer.read_request()
            peer.respond()
            if peer.server.connections == 1:
                peer.hang()  # leaves the client's end of the connection looking alive

        monkeypatch.setattr(curl_transfer, "_LentSocket", recorded)
        server = serve(script)
        assert transport.send(post(server.url(), body=b"first")).status == 200
        opened[0].shutdown(socket.SHUT_WR)  # from now on every send on it fails
        result = transport.send(post(server.url(), body=b"second"))
        for sock in opened:
            sock.close()
        assert (result.status, result.failure) == (200, None)
        assert [request.body for request in server.requests] == [b"first", b"second"]


def test_amid_all_of_this_no_answer_is_mixed_up_and_no_request_is_sent_twice(
    make_transport: MakeTransport, serve: Serve, post: MakeRequest
) -> None:
    transport = make_transport(max_connections=20, max_per_host=20)

    def script(peer: Peer) -> None:
        while (request := peer.read_request()) is not None:
            number = int(request.body)
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(request.body), request.body)
            match number % 10:
                case 0:
                    peer.send(answer)
                    return
                case 1:
                    peer.send(answer * 2)
                case 2:
                    return
                case 3:
                    peer.reset()
                    return
                case 4:
                    peer.send(answer[:30])
                    return
                case _:
                    peer.send(answer)

    server = serve(script)
    results: dict[int, HttpResult] = {}
    done = threading.Event()

    def keep(number: int, result: HttpResult) -> None:
        assert number not in results
        results[number] = result
        if len(results) == 2000:
            done.set()

    transport.submit_many(
        (post(server.url(), body=b"%d" % number), partial(keep, number)) for number in range(2000)
    )
    assert done.wait(60), f"{len(results)} results"
    complete = {number: result.body for number, result in results.items() if result.failure is None}
    assert complete == {number: b"%d" % number for number in complete}
    assert not [number for number in complete if number % 10 in (2, 3, 4)]
    assert {_kind(result) for result in results.values()} == {None, FailureKind.RESET}
    assert len({request.body for request in server.requests}) == len(server.requests)


def test_thousands_of_refused_connections_are_thousands_of_results(
    make_transport: MakeTransport, post: MakeRequest
) -> None:
    transport = make_transport(max_connections=200, max_per_host=200)
    results: list[HttpResult] = []
    done = threading.Event()

    def on_done(result: HttpResult) -> None:
        results.append(result)
        if len(results) == 3000:
            done.set()

    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # without listening: connections are refused
        request = post(f"http://127.0.0.1:{bound.getsockname()[1]}/")
        transport.submit_many([(request, on_done)] * 3000)
        assert done.wait(60)
    assert {_kind(result) for result in results} == {FailureKind.CONNECT}
    assert transport.in_flight == 0
    assert results[0].failure is not None
    assert "refused" in results[0].failure.message


def test_names_that_hang_end_at_their_deadlines_and_hold_up_no_other_name(
    make_transport: MakeTransport, serve: Serve, post: MakeRequest
) -> None:
    over = threading.Event()

    def look_up(name: str) -> list[str]:
        if name.startswith("slow"):
            over.wait(30)
        return ["127.0.0.1"]

    server = serve(lambda peer: (peer.read_request(), peer.respond())[1])
    transport = make_transport(look_up=look_up)
    slow: list[HttpResult] = []
    done = threading.Event()

    def on_done(result: HttpResult) -> None:
        slow.append(result)
        if len(slow) == 60:
            done.set()

    try:
        transport.submit_many(
            (post(server.url(host=f"slow{number}.example"), timeout_ms=2_000), on_done)
            for number in range(60)
        )
        result = transport.send(post(server.url(host="quick.example")))
        assert (result.status, slow) == (200, [])
        assert result.phases.name_lookup is not None
        assert done.wait(30)
    finally:
        over.set()
    assert {_kind(result) for result in slow} == {FailureKind.TIMEOUT}
    assert min(result.phases.total for result in slow) >= 2_000
    assert len(server.requests) == 1


def test_a_call_whose_name_is_being_looked_up_is_cancelled_by_a_stop(
    make_transport: MakeTransport, post: MakeRequest
) -> None:
    over, asked = threading.Event(), threading.Event()

    def look_up(_name: str) -> list[str]:
        asked.set()
        over.wait(30)
        return ["127.0.0.1"]

    transport = make_transport(look_up=look_up)
    results: list[HttpResult] = []
    transport.submit(post("http://slow.example/"), results.append)
    assert asked.wait(30)
    transport.close()
    over.set()
    assert [_kind(result) for result in results] == [FailureKind.CANCELLED]


def test_a_name_that_does_not_exist_is_a_failure_to_try_again(
    transport: Transport, post: MakeRequest
) -> None:
    result = transport.send(post("http://nothing.invalid/"))
    assert _kind(result) is FailureKind.DNS
    assert result.failure is not None
    assert result.failure.retryable
