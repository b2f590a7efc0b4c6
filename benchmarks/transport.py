"""What a call costs: keep-alive POSTs through the transport to a receiver in a process of its own.

Run `python benchmarks/transport.py`; prints calls per second and CPU milliseconds per call of the sending process
for each concurrency. The receiver answers with 200 and two bytes, at next to no cost. With `--hanging 1000`, so
many further calls to another address are in flight all the time, which is never answered.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import threading
import time
from dataclasses import replace
from multiprocessing.connection import Connection

from webhookcron.core.targets import TargetPolicy
from webhookcron.delivery.transport import HttpRequest, HttpResult, Transport

HANGING_HOST = "127.0.0.2"
RESPONSE = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer: receiver\r\n"
    b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: 2\r\n\r\n{}"
)
BODY = b'{"type":"cron.fired","data":{"jobId":"0123456789abcdef","attempt":1}}'
HEADERS = (
    ("Content-Type", "application/json"),
    ("X-Webhookcron-Job-Id", "0123456789abcdef01234567"),
    ("X-Webhookcron-Execution-Id", "0123456789abcdef01234567:1767225600000"),
    ("X-Webhookcron-Scheduled-At", "2026-01-01T00:00:00.000Z"),
    ("X-Webhookcron-Scheduled-At-Ms", "1767225600000"),
    ("X-Webhookcron-Attempt", "1"),
    ("X-Webhookcron-Trigger", "schedule"),
    ("webhook-id", "0123456789abcdef01234567:1767225600000"),
    ("webhook-timestamp", "1767225600"),
    ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
)


class _Receiver(asyncio.Protocol):
    """Counts the requests in what arrives by their bodies' fixed length, and answers each."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        while True:
            head = self._received.find(b"\r\n\r\n")
            if head < 0 or len(self._received) < head + 4 + len(BODY):
                return
            hanging = self._received.startswith(b"POST /hang")
            self._received = self._received[head + 4 + len(BODY) :]
            if not hanging:
                self._transport.write(RESPONSE)


def _receive(ready: Connection) -> None:
    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(_Receiver, "127.0.0.1", 0, backlog=4096)
        port = server.sockets[0].getsockname()[1]
        await loop.create_server(_Receiver, HANGING_HOST, port, backlog=4096)
        ready.send(port)
        await server.serve_forever()

    asyncio.run(serve())


def measure(port: int, calls: int, concurrency: int, hanging: int) -> tuple[float, float]:
    """Calls per second and CPU milliseconds per call with that many calls in flight at all times.

    The calls that only hang come on top, and are made before the measurement begins.
    """
    transport = Transport(
        policy=TargetPolicy.of(allowed_networks=["127.0.0.0/8"]),
        max_connections=concurrency + hanging,
        max_per_host=concurrency + hanging,
        user_agent="webhookcron-benchmark",
    )
    request = HttpRequest(
        method="POST", url=f"http://127.0.0.1:{port}/hook", headers=HEADERS, body=BODY, timeout_ms=30_000
    )
    hang = replace(request, url=f"http://{HANGING_HOST}:{port}/hang", timeout_ms=300_000)
    transport.submit_many([(hang, lambda result: None)] * hanging)
    for _ in range(
        max(10, hanging // 2)
    ):  # calls one after the other, so that those that hang have been sent by then
        transport.send(request)
    left = calls
    done = 0
    finished = threading.Event()
    failures: list[HttpResult] = []

    def on_done(result: HttpResult) -> None:
        nonlocal left, done
        if result.status != 200:
            failures.append(result)
        done += 1
        if left > 0:
            left -= 1
            transport.submit(request, on_done)
        elif done == calls:
            finished.set()

    left -= concurrency
    wall, cpu = time.perf_counter(), time.process_time()
    transport.submit_many([(request, on_done)] * concurrency)
    finished.wait()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    transport.close()
    if failures:
        raise SystemExit(f"{len(failures)} calls failed, the first with {failures[0].failure}")
    return calls / wall, cpu / calls * 1000


def main() -> None:
    """Measure each concurrency and print a line about it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--hanging", type=int, default=0)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 50, 500])
    arguments = parser.parse_args()
    here, there = multiprocessing.Pipe()
    receiver = multiprocessing.get_context("spawn").Process(target=_receive, args=(there,), daemon=True)
    receiver.start()
    port = here.recv()
    print("concurrency   calls/s   CPU ms/call")
    try:
        for concurrency in arguments.concurrency:
            rate, cpu_ms = measure(port, max(arguments.calls, concurrency), concurrency, arguments.hanging)
            print(f"{concurrency:11d} {rate:9.0f} {cpu_ms:13.4f}")
    finally:
        receiver.terminate()
        receiver.join()


if __name__ == "__main__":
    main()
