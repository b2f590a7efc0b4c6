"""The table of commands, and carrying out one request."""

import time
from collections.abc import Callable
from typing import Any

from webhookcron.embedded import administration, reads, writes
from webhookcron.embedded.cursors import Cursors
from webhookcron.embedded.errors import COMMAND_NOT_FOUND, OVERFLOW, CommandError
from webhookcron.embedded.request import Request
from webhookcron.embedded.store import Store

Reply = dict[str, Any]
Handler = Callable[[Store, Cursors, Request, float], Reply]


def _write(handler: Callable[[Store, Request], Reply]) -> Handler:
    return lambda store, cursors, request, now: handler(store, request)


HANDLERS: dict[str, Handler] = {
    "hello": administration.hello,
    "isMaster": administration.hello,
    "ismaster": administration.hello,
    "ping": administration.acknowledge,
    "endSessions": administration.acknowledge,
    "buildInfo": administration.build_info,
    "buildinfo": administration.build_info,
    "serverStatus": administration.server_status,
    "listDatabases": administration.list_databases,
    "listCollections": administration.list_collections,
    "create": administration.create,
    "drop": administration.drop,
    "dropDatabase": administration.drop_database,
    "createIndexes": administration.create_indexes,
    "listIndexes": administration.list_indexes,
    "dropIndexes": administration.drop_indexes,
    "insert": _write(writes.insert),
    "update": _write(writes.update),
    "delete": _write(writes.delete),
    "findAndModify": _write(writes.find_and_modify),
    "findandmodify": _write(writes.find_and_modify),
    "find": reads.find,
    "getMore": reads.get_more,
    "killCursors": reads.kill_cursors,
    "aggregate": reads.aggregate,
    "count": reads.count,
    "distinct": reads.distinct,
}


def execute(store: Store, cursors: Cursors, request: Request) -> Reply:
    """The reply to a request, an error document when it is refused. Writes still await `store.commit()`.

    Any other exception than CommandError is a defect: the caller rolls the store back.
    """
    handler = HANDLERS.get(request.command)
    if handler is None:
        return CommandError(COMMAND_NOT_FOUND, f"no such command: '{request.command}'").as_reply()
    try:
        return handler(store, cursors, request, time.monotonic())
    except CommandError as error:
        return error.as_reply()
    except RecursionError:
        return CommandError(OVERFLOW, "the request is nested too deeply").as_reply()
