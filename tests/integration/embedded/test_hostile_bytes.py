"""Whatever comes in on the socket, the server goes on. Not for a real MongoDB."""

import random
import socket
import struct
import time
from contextlib import ExitStack
from typing import Any

import bson
import pytest
from pymongo.errors import OperationFailure

from webhookcron.embedded.connections import MAX_CONNECTIONS

OP_MSG, OP_QUERY, OP_INSERT = 2013, 2004, 2002


def message(payload: bytes, kind: int = OP_MSG, length: int | None = None) -> bytes:
    """A message with any payload; the header may lie about the length."""
    return struct.pack("<iiii", 16 + len(payload) if length is None else length, 7, 0, kind) + payload


def command(document: dict[str, Any], flags: int = 0, trailer: bytes = b"") -> bytes:
    """A well-formed OP_MSG."""
    return message(struct.pack("<I", flags) + b"\0" + bson.encode({**document, "$db": "db"}) + trailer)


def nested(depth: int) -> bytes:
    """The BSON of a document nested this deep, which no encoder would make."""
    body = b"\x05\0\0\0\0"
    for _ in range(depth):
        body = struct.pack("<i", len(body) + 8) + b"\x03a\0" + body + b"\0"
    return body


def answer(connection: socket.socket) -> dict[str, Any] | None:
    """The next reply's document; None when the server closed the connection."""
    try:
        head = receive(connection, 16)
        body = receive(connection, struct.unpack("<i", head[:4])[0] - 16)
    except (ConnectionError, EOFError):
        return None
    return bson.decode(body[5:])


def receive(connection: socket.socket, count: int) -> bytes:
    """Exactly this many bytes; EOFError when they do not come."""
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def connect(server: Any) -> socket.socket:
    """A bare connection."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # Connected before it gets a time limit: with one, a moment's full queue would be an error.
    connection.connect(str(server.socket))
    connection.settimeout(20)
    return connection


def lives(server: Any) -> bool:
    """Whether the server still answers."""
    with connect(server) as connection:
        connection.sendall(command({"ping": 1}))
        reply = answer(connection)
        return reply is not None and reply["ok"] == 1.0


PING = {"ping": 1}
CLOSING = {
    "no length": struct.pack("<iiii", 0, 1, 0, OP_MSG),
    "negative length": struct.pack("<iiii", -5, 1, 0, OP_MSG),
    "huge length": struct.pack("<iiii", 2**31 - 1, 1, 0, OP_MSG),
    "length beyond the limit": struct.pack("<iiii", 48_000_001, 1, 0, OP_MSG),
    "header only": struct.pack("<iiii", 16, 1, 0, OP_MSG),
    "unknown kind": message(b"\0" * 20, 9999),
    "old insert": message(b"\0" * 20, OP_INSERT),
    "unknown required flag": command(PING, flags=1 << 5),
    "no section": message(struct.pack("<I", 0)),
    "empty command": message(struct.pack("<I", 0) + b"\0\x05\0\0\0\0"),
    "unknown section": message(struct.pack("<I", 0) + b"\x07" + bson.encode(PING)),
    "two bodies": command(PING, trailer=b"\0" + bson.encode(PING)),
    "section too long": message(struct.pack("<I", 0) + b"\0" + struct.pack("<i", 5000) + b"\0"),
    "section too short": message(struct.pack("<I", 0) + b"\0" + struct.pack("<i", 1) + b"\0"),
    "cut section": message(struct.pack("<I", 0) + b"\0\x05"),
    "sequence without a name": command(PING, trailer=b"\x01" + struct.pack("<i", 8) + b"aaaa"),
    "sequence of half a document": command(PING, trailer=b"\x01" + struct.pack("<i", 9) + b"a\0\x05\0\0"),
    "name that is no text": command(PING, trailer=b"\x01" + struct.pack("<i", 6) + b"\xff\0"),
    "query of a collection": message(b"\0\0\0\0db.things\0" + b"\0" * 8 + bson.encode({"a": 1}), OP_QUERY),
    "query without end": message(b"\0\0\0\0aaaa", OP_QUERY),
}


@pytest.mark.parametrize("data", CLOSING.values(), ids=CLOSING.keys())
def test_broken_framing_closes_that_connection_only(shared_server: Any, data: bytes) -> None:
    with connect(shared_server) as connection:
        connection.sendall(data)
        assert answer(connection) is None
    assert lives(shared_server)


NOT_BSON = {
    "wrong type byte": b"\x0c\0\0\0\x77a\0\0\0\0\0\0",
    "length inside too long": b"\x0e\0\0\0\x02a\0\xff\0\0\0\0\0\0",
    "text that is no UTF-8": b"\x0e\0\0\0\x02a\0\x02\0\0\0\xff\0\0",
    "no end": b"\x08\0\0\0\x0aa\0\x01",
    "nested beyond reason": nested(20_000),
}


@pytest.mark.parametrize("body", NOT_BSON.values(), ids=NOT_BSON.keys())
def test_documents_that_are_not_bson_are_answered_with_an_error(shared_server: Any, body: bytes) -> None:
    with connect(shared_server) as connection:
        connection.sendall(message(struct.pack("<I", 0) + b"\0" + body))
        reply = answer(connection)
        assert reply is not None
        assert reply["ok"] == 0.0
        connection.sendall(command(PING))
        assert answer(connection) == {"ok": 1.0}


def test_bad_documents_in_a_section_of_their_own_are_answered_with_an_error(shared_server: Any) -> None:
    for body in NOT_BSON.values():
        section = b"documents\0" + body
        trailer = b"\x01" + struct.pack("<i", len(section) + 4) + section
        with connect(shared_server) as connection:
            connection.sendall(command({"insert": "things"}, trailer=trailer))
            reply = answer(connection)
            assert reply is not None
            assert reply["ok"] == 0.0 or reply["writeErrors"]
    with shared_server.client() as client:
        assert client.db.things.count_documents({}) == 0


def test_a_checksum_is_skipped_and_a_silent_command_is_not_answered(shared_server: Any) -> None:
    with connect(shared_server) as connection:
        connection.sendall(command({"insert": "silent", "documents": [{"_id": 1}]}, flags=2))
        connection.sendall(command(PING, flags=1, trailer=b"abcd"))
        assert answer(connection) == {"ok": 1.0}
        connection.sendall(command({"count": "silent"}))
        assert answer(connection) == {"n": 1, "ok": 1.0}


def test_messages_may_come_in_any_pieces(shared_server: Any) -> None:
    data = command({"count": "nothing"}) * 3
    with connect(shared_server) as connection:
        for byte in data:
            connection.sendall(bytes((byte,)))
        for _ in range(3):
            assert answer(connection) == {"n": 0, "ok": 1.0}


def test_random_bytes_do_not_stop_it(shared_server: Any) -> None:
    source = random.Random(20260101)
    good = command({"find": "things", "filter": {"a": {"$in": [1, "x"]}}, "sort": {"a": 1}})
    for _ in range(300):
        data = bytearray(good)
        if source.random() < 0.3:
            data = bytearray(source.randbytes(source.randrange(1, 200)))
        for _ in range(source.randrange(1, 6)):
            # Behind the length, so that the message is looked at rather than awaited.
            data[source.randrange(min(16, len(data) - 1), len(data))] = source.randrange(256)
        with connect(shared_server) as connection:
            connection.sendall(bytes(data))
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass
    assert lives(shared_server)


def test_many_half_messages_do_not_keep_others_out(shared_server: Any) -> None:
    connections = [connect(shared_server) for _ in range(100)]
    for connection in connections:
        connection.sendall(message(b"", length=1_000_000))
    assert lives(shared_server)
    for connection in connections:
        connection.close()


def test_it_refuses_connections_beyond_its_limit_and_takes_them_again_later(shared_server: Any) -> None:
    with ExitStack() as stack:
        for _ in range(MAX_CONNECTIONS):
            connection = stack.enter_context(connect(shared_server))
            connection.sendall(command(PING))
            assert answer(connection) == {"ok": 1.0}
        with connect(shared_server) as surplus:
            assert answer(surplus) is None
    deadline = time.monotonic() + 20
    while not lives(shared_server):
        assert time.monotonic() < deadline


@pytest.mark.parametrize(
    "body",
    [
        {"find": "things", "collation": {"locale": "de"}},
        {"find": "things", "let": {"a": 1}},
        {"find": "things", "filter": {"$expr": {"$eq": ["$a", "$$NOW"]}}},
        {"find": "things", "tailable": True},
        {"find": "things", "sort": {"a": {"$meta": "textScore"}}},
        {"find": "things", "projection": {"a": {"$slice": 1}}},
        {"find": "things", "projection": {"a.$": 1}},
        {"aggregate": "things", "pipeline": [{"$lookup": {}}], "cursor": {}},
        {"aggregate": "things", "pipeline": [{"$changeStream": {}}], "cursor": {}},
        {"aggregate": "things", "pipeline": [{"$project": {"a": "$$NOW"}}], "cursor": {}},
        {"aggregate": "things", "pipeline": [{"$project": {"a": {"b": 1}}}], "cursor": {}},
        {"aggregate": "things", "pipeline": [], "cursor": {}, "explain": True},
        {"update": "things", "updates": [{"q": {}, "u": {"$set": {"a": 1}}, "arrayFilters": []}]},
        {"update": "things", "updates": [{"q": {}, "u": {"$set": {"a": 1}}, "collation": {}}]},
        {"findAndModify": "things", "update": [{"$set": {"a": 1}}]},
        {"insert": "things", "documents": [{"a": 1}], "txnNumber": 1},
        {"create": "things", "capped": True, "size": 1000},
        {"createIndexes": "things", "indexes": [{"key": {"a": "text"}, "name": "t"}]},
        {"createIndexes": "things", "indexes": [{"key": {"a": 1}, "name": "t", "collation": {}}]},
        {"distinct": "things", "key": "a", "collation": {}},
    ],
    ids=str,
)
def test_what_it_does_not_know_of_mongodb_is_refused(shared_server: Any, body: dict[str, Any]) -> None:
    with shared_server.client() as client:
        with pytest.raises(OperationFailure) as caught:
            client.refusals.command(body)
        assert caught.value.code == 238
        assert client.refusals.things.count_documents({}) == 0


@pytest.mark.parametrize(
    "name", ["bulkWrite", "commitTransaction", "mapReduce", "getLog", "shutdown", "eval"]
)
def test_commands_it_does_not_know_are_refused(shared_server: Any, name: str) -> None:
    with shared_server.client() as client:
        with pytest.raises(OperationFailure) as caught:
            client.admin.command(name, 1)
        assert caught.value.code == 59


def test_documents_nested_too_deeply_are_refused(shared_server: Any) -> None:
    document: dict[str, Any] = {}
    for _ in range(150):
        document = {"a": document}
    with shared_server.client() as client:
        with pytest.raises(OperationFailure) as caught:
            client.db.deep.insert_one(document)
        assert caught.value.code == 15
        client.db.deep.insert_one({"_id": 1})
        with pytest.raises(OperationFailure) as caught:
            client.db.deep.update_one({"_id": 1}, {"$set": {"b": document}})
        assert caught.value.code == 15
