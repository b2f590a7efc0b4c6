"""Connections of the embedded MongoDB-protocol server, and the group commit they share.

All requests that one turn of the event loop brings are carried out one after another on the loop's thread, then
committed together, and only then answered: an acknowledged write is a committed write.
"""

import asyncio
import logging
import time
from typing import Any

from webhookcron.embedded.commands import execute
from webhookcron.embedded.cursors import Cursors
from webhookcron.embedded.errors import OPERATION_FAILED, CommandError
from webhookcron.embedded.redoing import is_repeatable
from webhookcron.embedded.store import Store
from webhookcron.embedded.wire import (
    OP_MSG,
    ProtocolError,
    encode_reply,
    message_length,
    parse_message,
    request_id_of,
)

logger = logging.getLogger(__name__)

MAX_CONNECTIONS = 500
MAX_AWAITED_BYTES = 512 * 1024 * 1024
"""Memory that unfinished messages may take, so that many big ones begun at once cannot exhaust the machine."""

_QUIET_SECONDS = 0.05
"""After so long without a request, indexes and the data file are brought up to date: work that nobody waits for."""

_INT32_BYTES = 4
_RECEIVE_BYTES = 256 * 1024


class Hub:
    """The store behind all connections of a server."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.cursors = Cursors()
        self.connections: set[Connection] = set()
        self.awaited_bytes = 0
        """Bytes of unfinished messages that all connections hold together."""
        self.receive_buffer = memoryview(bytearray(_RECEIVE_BYTES))
        self._loop = asyncio.get_running_loop()
        self._unanswered: list[tuple[Connection, int, int, bytes]] = []
        self._commit_planned = False
        self._handled = 0
        """Messages so far."""
        self._catching_up = False

    def handle(self, connection: "Connection", message: bytes) -> None:
        """Carry out one message; its reply leaves with the commit of this turn.

        Raises ProtocolError when the connection is to be closed.
        """
        self._handled += 1
        try:
            request, request_id, kind, wants_reply = parse_message(message)
        except CommandError as error:
            self._answer(connection, request_id_of(message), OP_MSG, error.as_reply())
            return
        try:
            mark = self.store.before_request()
            reply = execute(self.store, self.cursors, request)
            if is_repeatable(request, reply):
                self.store.repeatable(mark, message)
            encoded = encode_reply(reply, request_id, kind) if wants_reply else b""
        except Exception:
            # One request must not end the server. What the turn did so far is undone, so nothing of it is promised.
            logger.exception("the command %s failed", request.command)
            self._fail_turn(CommandError(OPERATION_FAILED, "another request of this moment failed"))
            failure = CommandError(OPERATION_FAILED, f"internal error in '{request.command}'")
            reply = failure.as_reply()
            encoded = encode_reply(reply, request_id, kind) if wants_reply else b""
        if self._unanswered or not self.store.is_clean:
            self._plan(connection, request_id, kind, encoded)
        elif encoded:
            # Nothing awaits a commit, so what was read is committed.
            connection.send(encoded)

    def _answer(self, connection: "Connection", request_id: int, kind: int, reply: dict[str, Any]) -> None:
        self._plan(connection, request_id, kind, encode_reply(reply, request_id, kind))

    def _plan(self, connection: "Connection", request_id: int, kind: int, encoded: bytes) -> None:
        self._unanswered.append((connection, request_id, kind, encoded))
        if not self._commit_planned:
            self._commit_planned = True
            self._loop.call_soon(self.commit)

    def _fail_turn(self, error: CommandError) -> None:
        """Undo what this turn did and turn every reply still held back into the error."""
        self.store.roll_back()
        reply = error.as_reply()
        self._unanswered = [
            (connection, request_id, kind, encode_reply(reply, request_id, kind) if encoded else b"")
            for connection, request_id, kind, encoded in self._unanswered
        ]

    def commit(self) -> None:
        """Make the turn's writes durable and send its replies."""
        self._commit_planned = False
        try:
            self.store.commit()
        except CommandError as error:
            logger.error("%s", error.message)
            self._fail_turn(error)
        except Exception:
            logger.exception("the commit failed")
            self._fail_turn(CommandError(OPERATION_FAILED, "the commit failed"))
        unanswered, self._unanswered = self._unanswered, []
        for connection, _, _, encoded in unanswered:
            if encoded:
                connection.send(encoded)
        if not self._catching_up:
            self._catching_up = True
            self._loop.call_later(_QUIET_SECONDS, self._catch_up, self._handled)

    def _catch_up(self, handled: int) -> None:
        """Bring indexes and the data file up to date, a little in each turn, as long as no requests come."""
        if handled != self._handled:
            self._loop.call_later(_QUIET_SECONDS, self._catch_up, self._handled)
        elif self.store.catch_up() or self.store.save_some():
            self._loop.call_soon(self._catch_up, handled)
        else:
            self._catching_up = False

    def close_idle_cursors(self) -> None:
        """Close cursors nobody uses any more."""
        self.cursors.close_idle(time.monotonic())


class Connection(asyncio.BufferedProtocol):
    """One client: cuts the byte stream into messages."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._transport: asyncio.Transport | None = None
        self._partial = bytearray()
        """The beginning of a message whose rest has not come yet."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, unless there are too many."""
        assert isinstance(transport, asyncio.Transport)
        if len(self._hub.connections) >= MAX_CONNECTIONS:
            logger.warning("refused a connection: %d are open", MAX_CONNECTIONS)
            transport.abort()
            return
        self._transport = transport
        self._hub.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        self._transport = None
        self._hub.awaited_bytes -= len(self._partial)
        self._partial.clear()
        self._hub.connections.discard(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the loop puts the next bytes; all connections share it, as each empties it at once."""
        return self._hub.receive_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Carry out every message that is complete."""
        if self._transport is None:
            return
        received = self._hub.receive_buffer[:nbytes]
        held = len(self._partial)
        try:
            if held:
                self._partial += received
                del self._partial[: self._carry_out(self._partial)]
            else:
                used = self._carry_out(received)
                if used < nbytes:
                    self._partial += received[used:]
            if self._hub.awaited_bytes + len(self._partial) - held > MAX_AWAITED_BYTES:
                raise ProtocolError("the unfinished messages of all connections are too many bytes")
        except ProtocolError as problem:
            logger.warning("closed a connection: %s", problem)
            self.close()
        finally:
            self._hub.awaited_bytes += len(self._partial) - held

    def _carry_out(self, data: memoryview | bytearray) -> int:
        """Handle the whole messages that the data starts with; how many bytes they were."""
        start = 0
        while len(data) - start >= _INT32_BYTES:
            length = message_length(data, start)
            if len(data) - start < length:
                break
            self._hub.handle(self, bytes(data[start : start + length]))
            start += length
        return start

    def pause_writing(self) -> None:
        """Read no more requests while the client does not read its replies."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Read on."""
        if self._transport is not None:
            self._transport.resume_reading()

    def send(self, data: bytes) -> None:
        """Send a reply, if the client is still there."""
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        """Drop the connection at once."""
        if self._transport is not None:
            self._transport.abort()
            self._transport = None
