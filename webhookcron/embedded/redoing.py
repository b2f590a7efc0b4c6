"""Carrying out again what the redo log holds, and telling which requests can be."""

from typing import Any

import bson

from webhookcron.embedded.adoption import adopt_document
from webhookcron.embedded.commands import execute
from webhookcron.embedded.cursors import Cursors
from webhookcron.embedded.data_file import CODEC
from webhookcron.embedded.redo_log import Item
from webhookcron.embedded.request import Request
from webhookcron.embedded.store import Store
from webhookcron.embedded.transaction import IMAGE_HEAD, MESSAGE
from webhookcron.embedded.wire import parse_message


def is_repeatable(request: Request, reply: dict[str, Any]) -> bool:
    """Whether the request, carried out again on the same documents, changes them in the same way.

    That is: nothing was refused, no `_id` is made up, and documents are named by their `_id`, as what else a filter
    finds first may depend on how it was looked for. Of all others the log keeps the documents.
    """
    command = request.command
    if command not in ("insert", "update") or reply["ok"] != 1.0 or "writeErrors" in reply:
        return False
    if command == "insert":
        return all("_id" in document for document in request.documents("documents"))
    return all(_names_documents(statement) for statement in request.documents("updates"))


def _names_documents(statement: dict[str, Any]) -> bool:
    named = statement["q"].get("_id")
    if type(named) is str:
        return True
    return (
        type(named) is dict
        and list(named) == ["$in"]
        and bool(statement.get("multi"))
        and not statement.get("upsert")
    )


def redo(store: Store, item: Item) -> None:
    """Carry out one item of the redo log."""
    kind, content = item
    if kind == MESSAGE:
        request, *_ = parse_message(content)
        execute(store, Cursors(), request)
        return
    number, record = IMAGE_HEAD.unpack_from(content)
    body = content[IMAGE_HEAD.size :]
    store.numbered(number).place(record, adopt_document(bson.decode(body, CODEC)) if body else None)
