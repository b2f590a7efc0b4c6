"""Is a child ready? Asked over its socket, in a few bytes of its own protocol."""

from __future__ import annotations

import asyncio
from pathlib import Path

ANSWER_SECONDS = 2.0
"""A server that accepts but does not answer within this is not ready."""

MAX_ANSWER_BYTES = 4096


async def redis_answers(*, socket: Path | None, port: int | None) -> bool:
    """Whether a Redis server takes commands: one that still loads its data answers PING with an error."""
    answer = await _ask(b"PING\r\n", socket=socket, host="127.0.0.1", port=port)
    return answer.startswith(b"+PONG")


async def http_answers(host: str, port: int, path: str) -> bool:
    """Whether GET `path` is answered with status 200."""
    name = f"[{host}]" if ":" in host else host
    request = f"GET {path} HTTP/1.1\r\nHost: {name}:{port}\r\nConnection: close\r\n\r\n"
    answer = await _ask(request.encode(), socket=None, host=host, port=port)
    return answer.split(b" ", 2)[1:2] == [b"200"]


async def _ask(request: bytes, *, socket: Path | None, host: str, port: int | None) -> bytes:
    """The beginning of the answer to `request`; empty when there was none."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            if socket is not None:
                reader, writer = await asyncio.open_unix_connection(socket)
            else:
                reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(request)
                await writer.drain()
                return await reader.read(MAX_ANSWER_BYTES)
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return b""
