"""libcurl's errors in the project's words."""

from __future__ import annotations

import errno

import pycurl
import pytest

from webhookcron.core.outcomes import FailureKind
from webhookcron.delivery.curl_errors import MAX_MESSAGE_LENGTH, failure_of


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (pycurl.E_COULDNT_RESOLVE_HOST, FailureKind.DNS),
        (pycurl.E_COULDNT_CONNECT, FailureKind.CONNECT),
        (pycurl.E_OPERATION_TIMEDOUT, FailureKind.TIMEOUT),
        (pycurl.E_SSL_CONNECT_ERROR, FailureKind.TLS),
        (pycurl.E_PEER_FAILED_VERIFICATION, FailureKind.CERTIFICATE),
        (pycurl.E_GOT_NOTHING, FailureKind.RESET),
        (pycurl.E_RECV_ERROR, FailureKind.RESET),
        (pycurl.E_PARTIAL_FILE, FailureKind.RESET),
        (pycurl.E_UNSUPPORTED_PROTOCOL, FailureKind.PROTOCOL),
        (100, FailureKind.PROTOCOL),
        (9999, FailureKind.PROTOCOL),
    ],
)
def test_a_code_has_its_kind_and_an_unknown_one_is_a_protocol_failure(code: int, kind: FailureKind) -> None:
    assert failure_of(code, "said so", 0).kind is kind


def test_a_failed_connection_names_the_system_s_reason() -> None:
    assert "refused" in failure_of(pycurl.E_COULDNT_CONNECT, "no", errno.ECONNREFUSED).message


def test_bytes_of_the_server_in_a_message_are_made_storable_and_short() -> None:
    message = failure_of(pycurl.E_RECV_ERROR, "bad \udcff line " + "x" * 1000, 0).message
    assert message.startswith("bad \ufffd line")
    assert len(message) == MAX_MESSAGE_LENGTH


def test_a_line_that_is_too_long_is_told_in_words() -> None:
    failure = failure_of(100, "", 0)
    assert (failure.kind, failure.message) == (FailureKind.PROTOCOL, "a line of the response is too long")


def test_without_a_message_the_code_is_told() -> None:
    assert "56" in failure_of(pycurl.E_RECV_ERROR, "", 0).message
