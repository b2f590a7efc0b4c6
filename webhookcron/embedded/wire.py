"""The MongoDB wire protocol: OP_MSG, and OP_QUERY as far as a driver's first hello needs it.

Source: MongoDB's "Wire Protocol" documentation and the OP_MSG specification of the drivers. Checksums are skipped,
not verified: the transport is a local socket.
"""

from struct import Struct, error
from typing import Any

import bson
from bson.errors import InvalidBSON

from webhookcron.embedded.administration import MAX_MESSAGE_BYTES
from webhookcron.embedded.data_file import CODEC
from webhookcron.embedded.errors import INVALID_BSON, CommandError
from webhookcron.embedded.request import Request

HEADER = Struct("<iiii")
_INT32 = Struct("<i")
_FLAGS = Struct("<I")
_REPLY_HEAD = Struct("<iiiiIB")
_LEGACY_REPLY_HEAD = Struct("<iiiiiqii")

OP_REPLY = 1
OP_QUERY = 2004
OP_MSG = 2013

CHECKSUM_PRESENT = 1 << 0
MORE_TO_COME = 1 << 1
_REQUIRED_BITS = 0xFFFF
"""The low flag bits must be understood; the high ones may be ignored."""

_MIN_DOCUMENT_BYTES = 5


class ProtocolError(Exception):
    """The bytes are no message of the protocol; the connection cannot be used any further."""


def message_length(buffer: bytearray | memoryview, start: int) -> int:
    """The length that the message starting here claims; raises ProtocolError when no message has it."""
    length: int = _INT32.unpack_from(buffer, start)[0]
    if not HEADER.size < length <= MAX_MESSAGE_BYTES:
        raise ProtocolError(f"message length {length}")
    return length


def parse_message(message: bytes) -> tuple[Request, int, int, bool]:
    """The request of a whole message, its id, its kind (OP_MSG or OP_QUERY), and whether it wants a reply.

    Raises ProtocolError for broken framing and CommandError (22) for documents that are not BSON.
    """
    _, request_id, _, kind = HEADER.unpack_from(message)
    try:
        if kind == OP_MSG:
            request, wants_reply = _parse_op_msg(message)
        elif kind == OP_QUERY:
            request, wants_reply = _parse_op_query(message), True
        else:
            raise ProtocolError(f"message kind {kind}")
    except (error, ValueError, IndexError) as problem:
        raise ProtocolError(str(problem)) from problem
    return request, request_id, kind, wants_reply


def request_id_of(message: bytes) -> int:
    """The id that a reply to this message refers to."""
    request_id: int = HEADER.unpack_from(message)[1]
    return request_id


def _parse_op_msg(message: bytes) -> tuple[Request, bool]:
    flags: int = _FLAGS.unpack_from(message, 16)[0]
    if flags & _REQUIRED_BITS & ~(CHECKSUM_PRESENT | MORE_TO_COME):
        raise ProtocolError(f"message flags {flags:#x}")
    end = len(message) - 4 if flags & CHECKSUM_PRESENT else len(message)
    position = 20
    body: dict[str, Any] | None = None
    sequences: dict[str, list[dict[str, Any]]] = {}
    bodies: dict[str, list[bytes]] = {}
    while position < end:
        kind = message[position]
        size: int = _INT32.unpack_from(message, position + 1)[0]
        stop = position + 1 + size
        if size < _MIN_DOCUMENT_BYTES or stop > end:
            raise ProtocolError("section length")
        if kind == 0 and body is None:
            body = _decode(message[position + 1 : stop])
        elif kind == 1:
            name_end = message.index(b"\x00", position + 5, stop)
            name = message[position + 5 : name_end].decode()
            if name in sequences:
                raise ProtocolError("a section twice")
            sequences[name], bodies[name] = _documents(message[name_end + 1 : stop])
        else:
            raise ProtocolError(f"section kind {kind}")
        position = stop
    if not body:
        raise ProtocolError("no command")
    return Request(next(iter(body)), body, sequences, bodies, len(message)), not flags & MORE_TO_COME


def _documents(section: bytes) -> tuple[list[dict[str, Any]], list[bytes]]:
    bodies: list[bytes] = []
    position = 0
    while position < len(section):
        size: int = _INT32.unpack_from(section, position)[0]
        if size < _MIN_DOCUMENT_BYTES or position + size > len(section):
            raise ProtocolError("document length")
        bodies.append(section[position : position + size])
        position += size
    try:
        return bson.decode_all(section, CODEC), bodies
    except (InvalidBSON, RecursionError) as problem:
        raise _not_bson(problem) from problem


def _parse_op_query(message: bytes) -> Request:
    name_end = message.index(b"\x00", 20)
    namespace = message[20:name_end].decode()
    start = name_end + 9
    size: int = _INT32.unpack_from(message, start)[0]
    if size < _MIN_DOCUMENT_BYTES or start + size > len(message):
        raise ProtocolError("document length")
    body = _decode(message[start : start + size])
    command = next(iter(body), "")
    if not namespace.endswith(".$cmd") or command not in ("hello", "isMaster", "ismaster"):
        raise ProtocolError("OP_QUERY other than a hello")
    return Request(command, {**body, "$db": namespace[:-5]})


def _decode(data: bytes) -> dict[str, Any]:
    try:
        return bson.decode(data, CODEC)
    except (InvalidBSON, RecursionError) as problem:
        raise _not_bson(problem) from problem


def _not_bson(problem: Exception) -> CommandError:
    return CommandError(INVALID_BSON, f"a document is not valid BSON: {problem}")


def encode_reply(document: dict[str, Any], response_to: int, kind: int) -> bytes:
    """The message that answers a request of this kind."""
    body = bson.encode(document)
    if kind == OP_QUERY:
        length = _LEGACY_REPLY_HEAD.size + len(body)
        return _LEGACY_REPLY_HEAD.pack(length, 0, response_to, OP_REPLY, 8, 0, 0, 1) + body
    return _REPLY_HEAD.pack(_REPLY_HEAD.size + len(body), 0, response_to, OP_MSG, 0, 0) + body
