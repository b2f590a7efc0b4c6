"""The webhook receiver under chaos, a process of its own: it notes every call in a file and misbehaves as told.

    python receiver.py FILE

It prints its port. The path of a call says how it is answered, and dice thrown from (webhook-id, attempt) say the rest,
so that a repeated call meets the same answer:

    /ok                200 at once
    /flaky             500 to every third call, else 200
    /failing           500
    /slow              200 after two to eight seconds
    /hang              no answer

Each line of the file is JSON: a call as it came, or the number of a call and what it was answered.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
import zlib
from typing import TextIO

_HEADER = re.compile(rb"\r\n([^:\r\n]+): ?([^\r\n]*)")
_ANSWERS = {
    200: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    500: b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 4\r\n\r\noops",
}


class Receiver:
    """Numbers the calls and writes them down."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._calls = 0

    def note(self, headers: dict[bytes, bytes], path: str) -> int:
        """Write a call down; its number."""
        self._calls += 1
        self._write(
            call=self._calls,
            at=_now_ms(),
            path=path,
            webhookId=headers[b"webhook-id"].decode(),
            jobId=headers[b"x-webhookcron-job-id"].decode(),
            attempt=int(headers[b"x-webhookcron-attempt"]),
            scheduledAt=int(headers[b"x-webhookcron-scheduled-at-ms"]),
            trigger=headers[b"x-webhookcron-trigger"].decode(),
        )
        return self._calls

    def answered(self, call: int, status: int) -> None:
        """Write down that a call got its answer."""
        self._write(answered=call, at=_now_ms(), status=status)

    def _write(self, **line: object) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()


class Connection(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._transport: asyncio.Transport | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            headers = {name.lower(): value for name, value in _HEADER.findall(head)}
            total = end + 4 + int(headers.get(b"content-length", b"0"))
            if len(self._buffer) < total:
                return
            self._buffer = self._buffer[total:]
            self._handle(head.split(b" ", 2)[1].decode(), headers)

    def _handle(self, path: str, headers: dict[bytes, bytes]) -> None:
        call = self._receiver.note(headers, path)
        dice = zlib.crc32(headers[b"webhook-id"] + b"/" + headers[b"x-webhookcron-attempt"])
        if path == "/hang":
            return
        status = 500 if path == "/failing" or (path == "/flaky" and dice % 3 == 0) else 200
        if path == "/slow":
            asyncio.get_running_loop().call_later(2 + dice % 6000 / 1000, self._answer, call, status)
        else:
            self._answer(call, status)

    def _answer(self, call: int, status: int) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(_ANSWERS[status])
            self._receiver.answered(call, status)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


async def serve(file: TextIO) -> None:
    """Serve on a free loopback port until killed."""
    receiver = Receiver(file)
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(receiver), "127.0.0.1", 0, backlog=1024
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with open(sys.argv[1], "w") as file:
        asyncio.run(serve(file))
