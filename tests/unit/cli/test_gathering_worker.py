"""When a request is all there."""

from __future__ import annotations

import pytest

from webhookcron.cli.gathering_worker import (
    BODY_SECONDS,
    MOST_BODY_BYTES,
    MOST_HEAD_BYTES,
    TIMEOUT_ANSWER,
    Gathering,
)

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
CHUNKS = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"


def gathered(*parts: bytes) -> Gathering:
    gathering = Gathering(deadline=10.0)
    for part in parts:
        gathering.add(part, 5.0)
    return gathering


@pytest.mark.parametrize("request_", [GET, POST, CHUNKS], ids=["get", "post", "chunks"])
def test_a_request_is_whole_with_its_last_byte_however_it_comes(request_: bytes) -> None:
    gathering = gathered()
    for position in range(len(request_)):
        assert not gathering.whole
        gathering.add(request_[position : position + 1], 5.0)
    assert gathering.whole
    assert bytes(gathering.data) == request_


def test_what_comes_behind_it_is_kept() -> None:
    gathering = gathered(POST + GET)
    assert gathering.whole
    assert bytes(gathering.data) == POST + GET


def test_the_body_has_a_time_of_its_own() -> None:
    gathering = gathered(POST[:20])
    assert gathering.deadline == 10.0
    gathering.add(POST[20:-1], 7.0)
    assert gathering.deadline == 7.0 + BODY_SECONDS
    gathering.add(b"", 9.0)
    assert gathering.deadline == 7.0 + BODY_SECONDS


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nX: " + b"x" * MOST_HEAD_BYTES,
        b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (MOST_BODY_BYTES + 1),
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"x" * (MOST_BODY_BYTES + 1),
        b"POST / HTTP/1.1\r\nContent-Length: nonsense\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST / HTTP/1.1\r\nX-Content-Length: 5\r\n\r\n",
        b"\r\n\r\n",
    ],
    ids=range(7),
)
def test_what_will_be_refused_is_not_waited_for(request_: bytes) -> None:
    assert gathered(request_).whole


@pytest.mark.parametrize("name", [b"content-length", b"CONTENT-LENGTH", b"Content-Length"])
def test_headers_are_read_in_any_case(name: bytes) -> None:
    assert not gathered(b"POST / HTTP/1.1\r\n" + name + b":\t5 \r\n\r\nabc").whole


def test_who_waits_for_a_word_before_the_body_gets_it_once() -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n"
    gathering = gathered(head)
    assert (gathering.wants_continue, gathering.whole) == (True, False)
    gathering.add(b"abc", 6.0)
    assert gathering.whole
    assert bytes(gathering.data) == POST


@pytest.mark.parametrize("length", [0, MOST_BODY_BYTES + 1])
def test_who_sends_no_body_or_too_much_gets_no_word(length: int) -> None:
    gathering = gathered(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % length)
    assert (gathering.wants_continue, gathering.whole) == (False, True)
    assert b"Expect" in gathering.data


def test_the_answer_to_slow_ones_is_whole() -> None:
    head, _, body = TIMEOUT_ANSWER.partition(b"\r\n\r\n")
    assert b"Content-Length: %d" % len(body) in head
