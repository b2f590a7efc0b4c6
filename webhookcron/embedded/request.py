"""A command as it came in: its document, the documents of its sections, and checked access to its fields."""

from dataclasses import dataclass, field
from typing import Any

from webhookcron.embedded.errors import (
    INVALID_NAMESPACE,
    MISSING_FIELD,
    TYPE_MISMATCH,
    UNKNOWN_FIELD,
    CommandError,
    unsupported,
)
from webhookcron.embedded.operators import is_number

_HARMLESS = frozenset(
    """
    $db $readPreference $clusterTime lsid comment maxTimeMS readConcern writeConcern hint allowDiskUse
    apiVersion apiStrict apiDeprecationErrors noCursorTimeout allowPartialResults
    bypassDocumentValidation bypassEmptyTsReplacement isUpdateCommand cursor
    """.split()  # noqa: SIM905
)
"""Fields that change no result of a server without replicas."""

_UNSUPPORTED = frozenset(
    """
    collation let arrayFilters txnNumber startTransaction autocommit min max returnKey showRecordId
    tailable awaitData explain validator capped size timeseries clusteredIndex expireAfterSeconds viewOn
    pipeline_view storageEngine indexOptionDefaults changeStreamPreAndPostImages rawData sort
    """.split()  # noqa: SIM905
)


@dataclass(slots=True)
class Request:
    """One command. `sequences` holds kind 1 sections by name, `bodies` their BSON, document by document."""

    command: str
    body: dict[str, Any]
    sequences: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    bodies: dict[str, list[bytes]] = field(default_factory=dict)
    size: int = 0
    """Bytes of the whole message, which bounds what the command can add to a document."""

    @property
    def database(self) -> str:
        """The database the command is sent to."""
        database = self.body.get("$db")
        if type(database) is not str or not database:
            raise CommandError(MISSING_FIELD, "OP_MSG requests require a $db argument")
        return database

    @property
    def collection(self) -> str:
        """The collection that the command's first field names."""
        name = self.body[self.command]
        if type(name) is not str:
            raise CommandError(INVALID_NAMESPACE, f"collection name has invalid type {type(name).__name__}")
        return name

    def allow(self, names: frozenset[str]) -> None:
        """Refuse every field that is neither among these nor without effect on the result."""
        for name in self.body:
            if name in names or name in _HARMLESS or name == self.command:
                continue
            if name in _UNSUPPORTED:
                raise unsupported(f"the field '{name}' of {self.command}")
            raise CommandError(UNKNOWN_FIELD, f"BSON field '{self.command}.{name}' is an unknown field.")

    def documents(self, name: str) -> list[dict[str, Any]]:
        """The documents given under this name, in a section of their own or as an array in the command."""
        documents = self.sequences.get(name)
        if documents is None:
            documents = self.body.get(name)
        if documents is None:
            raise CommandError(
                MISSING_FIELD, f"BSON field '{self.command}.{name}' is missing but a required field"
            )
        if type(documents) is not list or any(type(document) is not dict for document in documents):
            raise CommandError(
                TYPE_MISMATCH, f"BSON field '{self.command}.{name}' must be an array of objects"
            )
        return documents

    def document(self, name: str) -> dict[str, Any]:
        """A field that is a document; empty when absent."""
        value = self.body.get(name)
        if value is None:
            return {}
        if type(value) is not dict:
            raise CommandError(
                TYPE_MISMATCH, f"BSON field '{self.command}.{name}' is the wrong type, expected type 'object'"
            )
        return value

    def count(self, name: str, default: int) -> int:
        """A field that is a whole number; the default when absent."""
        value = self.body.get(name)
        if value is None:
            return default
        if not is_number(value) or value != value or value in (float("inf"), float("-inf")):
            raise CommandError(
                TYPE_MISMATCH, f"BSON field '{self.command}.{name}' is the wrong type, expected a number"
            )
        return int(value)


def checked_fields(
    document: dict[str, Any], names: frozenset[str], what: str, required: tuple[str, ...]
) -> None:
    """Refuse unknown or missing fields of a statement inside a command, such as one of `updates`."""
    for name in required:
        if name not in document:
            raise CommandError(MISSING_FIELD, f"BSON field '{what}.{name}' is missing but a required field")
    for name in document:
        if name not in names:
            if name in _UNSUPPORTED:
                raise unsupported(f"the field '{name}' of {what}")
            raise CommandError(UNKNOWN_FIELD, f"BSON field '{what}.{name}' is an unknown field.")
