import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from webhookcron.core.signing import signature_headers
from webhookcron.listen import MAX_BODY_BYTES, Listener, call_line


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def listener(lines: list[str]) -> Iterator[Listener]:
    with Listener("127.0.0.1", 0, status=202, delay_ms=0, write=lines.append) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def call(
    listener: Listener, method: str = "POST", body: bytes = b"", **headers: str
) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", listener.server_address[1], timeout=10)
    try:
        connection.request(method, "/hooks?x=1", body=body, headers=headers)
        response = connection.getresponse()
        response.read()
        return response
    finally:
        connection.close()


def test_it_answers_with_the_wanted_status_and_tells_the_call(listener: Listener, lines: list[str]) -> None:
    response = call(listener, body=b'{"a": 1}', **{"webhook-id": "e1"})

    assert response.status == 202
    assert len(lines) == 1
    assert lines[0].endswith('POST /hooks?x=1 webhook-id=e1 {"a": 1}')


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE"])
def test_it_takes_every_method(listener: Listener, lines: list[str], method: str) -> None:
    assert call(listener, method).status == 202
    assert f" {method} " in lines[0]


def test_a_changed_status_holds_from_the_next_call_on(listener: Listener) -> None:
    listener.status = 500
    assert call(listener).status == 500


def test_it_keeps_a_connection_open(listener: Listener, lines: list[str]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", listener.server_address[1], timeout=10)
    for _ in range(3):
        connection.request("POST", "/", body=b"x")
        assert connection.getresponse().read() == b"ok\n"
    connection.close()
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (f"Content-Length: {MAX_BODY_BYTES + 1}", 413),
        ("Content-Length: -1", 400),
        ("Content-Length: ten", 400),
        ("Transfer-Encoding: chunked", 411),
    ],
)
def test_a_body_it_cannot_take_is_refused_unread(listener: Listener, head: str, status: int) -> None:
    with socket.create_connection(("127.0.0.1", listener.server_address[1]), timeout=10) as connection:
        connection.sendall(f"POST / HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode())
        answer = connection.makefile("rb").readline()
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())


def test_a_line_cannot_be_forged_by_a_body() -> None:
    moment = datetime(2026, 11, 20, 12, 0, 0, 5000, tzinfo=UTC)

    line = call_line(moment, "POST", "/", None, b"a\nb\x1b[2J\xff")

    assert line == r"2026-11-20T12:00:00.005Z POST / webhook-id=- a\nb\x1b[2J\xff"


def test_a_long_body_is_cut_and_its_size_told() -> None:
    line = call_line(datetime.now(UTC), "POST", "/", "e1", b"x" * 5000)

    assert line.endswith("x… (5000 bytes)")
    assert len(line) < 2200


SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def verifying(lines: list[str]) -> Iterator[Listener]:
    """A listener that knows the secret of its callers."""
    with Listener("127.0.0.1", 0, status=200, delay_ms=0, write=lines.append, secrets=(SECRET,)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return dict(signature_headers([secret], "e1", int(datetime.now(UTC).timestamp()), body))


def test_it_takes_a_call_whose_signature_fits(verifying: Listener, lines: list[str]) -> None:
    assert call(verifying, body=b"{}", **signed(b"{}")).status == 200
    assert lines[0].endswith("webhook-id=e1 signature=ok {}")


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        (lambda: signed(b"other"), "signature=WRONG (no signature in webhook-signature fits)"),
        (lambda: signed(b"{}", "whsec_" + "A" * 32), "signature=WRONG (no signature"),
        (lambda: {**signed(b"{}"), "webhook-timestamp": "1"}, "300 s away from the clock"),
        (dict, "signature=WRONG (without webhook-id, webhook-timestamp, webhook-signature)"),
    ],
)
def test_it_refuses_a_call_whose_signature_does_not_fit(
    verifying: Listener, lines: list[str], headers: Callable[[], dict[str, str]], told: str
) -> None:
    assert call(verifying, body=b"{}", **headers()).status == 401
    assert told in lines[0]


def test_a_secret_that_is_none_is_refused_without_repeating_it() -> None:
    with pytest.raises(ValueError, match="starts with 'whsec_'") as caught:
        Listener("127.0.0.1", 0, status=200, delay_ms=0, write=print, secrets=("s3cret",))

    assert "s3cret" not in str(caught.value)
