"""The loop under libcurl."""

from __future__ import annotations

import os

from webhookcron.delivery.curl_poller import CurlPoller


def test_a_wake_up_ends_the_present_wait_and_one_after_the_end_touches_nothing() -> None:
    poller = CurlPoller(idle_connections=1, on_watch=lambda _fd: None)
    poller.wake()
    poller.turn(30)
    poller.close()

    # The next pipe gets the numbers of the one that was closed.
    reader, writer = os.pipe()
    try:
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        poller.wake()
        os.write(writer, b"x")
        assert os.read(reader, 10) == b"x"
    finally:
        os.close(reader)
        os.close(writer)
