"""A fast webhook receiver in a process of its own: it notes when each execution arrives, and answers 200.

Commands come as lines of JSON on standard input, answers as lines of JSON on standard output:

    {"do": "reset"}                                    forget everything
    {"do": "report", "from_ms": …, "to_ms": …}         figures of the fire times in [from, to)
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import threading
import time
from typing import Any

_EXECUTION = re.compile(rb"\r\nx-webhookcron-execution-id: ([^\r]+)\r\n", re.IGNORECASE)
_SCHEDULED = re.compile(rb"\r\nx-webhookcron-scheduled-at-ms: (\d+)\r\n", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n" + b'{"ok":true}'


class Arrivals:
    """What has arrived: execution id, fire time and arrival, both in ms since 1970."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.rows: list[tuple[bytes, int, float]] = []

    def report(self, from_ms: int, to_ms: int) -> dict[str, Any]:
        """Count, duplicates and lag percentiles (ms) of the fire times in the window."""
        with self.lock:
            rows = [row for row in self.rows if from_ms <= row[1] < to_ms]
        first: dict[bytes, float] = {}
        for execution, scheduled, arrived in rows:
            first.setdefault(execution, arrived - scheduled)
        lags = sorted(first.values())

        def percentile(share: float) -> float | None:
            return round(lags[min(len(lags) - 1, int(len(lags) * share))], 1) if lags else None

        return {
            "received": len(first),
            "duplicates": len(rows) - len(first),
            "lag_p50_ms": percentile(0.50),
            "lag_p95_ms": percentile(0.95),
            "lag_p99_ms": percentile(0.99),
            "lag_max_ms": round(lags[-1], 1) if lags else None,
            "last_arrival_ms": max((row[2] for row in rows), default=None),
        }


class Connection(asyncio.Protocol):
    """One keep-alive connection."""

    def __init__(self, arrivals: Arrivals, delay_seconds: float) -> None:
        self._arrivals = arrivals
        self._delay = delay_seconds
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[: end + 2]
            length = _LENGTH.search(head)
            total = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < total:
                return
            self._buffer = self._buffer[total:]
            execution, scheduled = _EXECUTION.search(head), _SCHEDULED.search(head)
            if execution and scheduled:
                with self._arrivals.lock:
                    self._arrivals.rows.append((execution[1], int(scheduled[1]), time.time() * 1000))
            if self._delay:
                asyncio.get_running_loop().call_later(self._delay, self._answer)
            else:
                self._answer()

    def _answer(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(_ANSWER)


def hanging_host(number: int) -> str:
    """The address of hanging host `number`, from 1."""
    return f"127.1.{number // 250}.{number % 250 + 1}"


class Silence(asyncio.Protocol):
    """A target that takes the connection and never answers."""


async def serve(delay_seconds: float, hanging_hosts: int) -> None:
    """Serve on a free loopback port, told on standard output, until standard input ends.

    The same port of 127.1.0.1, 127.1.0.2 … (`hanging_hosts` of them, at most 60,000) takes calls and never answers.
    """
    arrivals = Arrivals()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(arrivals, delay_seconds), "127.0.0.1", 0, backlog=4096
    )
    port = server.sockets[0].getsockname()[1]
    for number in range(1, hanging_hosts + 1):
        await loop.create_server(Silence, hanging_host(number), port, backlog=1024)
    print(json.dumps({"port": port}), flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command = json.loads(line)
        if command["do"] == "reset":
            with arrivals.lock:
                arrivals.rows.clear()
            print("{}", flush=True)
        else:
            print(json.dumps(arrivals.report(command["from_ms"], command["to_ms"])), flush=True)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]), int(sys.argv[2])))
