"""Declarations of indexes, as `createIndexes` takes them: read, checked, and shown again."""

from typing import Any

from webhookcron.embedded.errors import (
    CANNOT_CREATE_INDEX,
    INVALID_INDEX_SPECIFICATION_OPTION,
    CommandError,
    unsupported,
)
from webhookcron.embedded.matching import compile_filter

_IGNORED_OPTIONS = frozenset({"v", "ns", "background"})
_KNOWN_OPTIONS = frozenset(
    {"key", "name", "unique", "sparse", "partialFilterExpression", "expireAfterSeconds"}
)
_UNSUPPORTED_OPTIONS = frozenset(
    {
        "collation",
        "wildcardProjection",
        "weights",
        "default_language",
        "language_override",
        "textIndexVersion",
        "2dsphereIndexVersion",
        "bits",
        "min",
        "max",
        "bucketSize",
        "hidden",
        "storageEngine",
        "clustered",
    }
)
_MAX_EXPIRE_SECONDS = 2**31 - 1
_PARTIAL_OPERATORS = frozenset({"$eq", "$gt", "$gte", "$lt", "$lte", "$exists", "$type", "$in"})


class IndexSpec:
    """A checked index declaration."""

    __slots__ = ("expire_after_seconds", "key", "name", "partial_filter", "sparse", "unique")

    def __init__(self, document: dict[str, Any]) -> None:
        """Read one entry of `createIndexes`; raises CommandError for what is malformed or unsupported."""
        for option in document:
            if option in _UNSUPPORTED_OPTIONS:
                raise unsupported(f"the index option {option}")
            if option not in _KNOWN_OPTIONS and option not in _IGNORED_OPTIONS:
                raise CommandError(
                    INVALID_INDEX_SPECIFICATION_OPTION,
                    f"The field '{option}' is not valid for an index specification.",
                )
        key = document.get("key")
        if type(key) is not dict or not key:
            raise CommandError(CANNOT_CREATE_INDEX, "Index keys cannot be an empty object")
        self.key: dict[str, int] = {}
        for path, direction in key.items():
            self.key[path] = _direction(path, direction)
        name = document.get("name")
        if type(name) is not str or not name:
            raise CommandError(9, "The 'name' field is a required property of an index specification")
        self.name = name
        self.unique = bool(document.get("unique", False))
        self.sparse = bool(document.get("sparse", False))
        self.partial_filter = self._checked_partial(document)
        self.expire_after_seconds = self._checked_expiry(document)

    def _checked_partial(self, document: dict[str, Any]) -> dict[str, Any] | None:
        partial = document.get("partialFilterExpression")
        if partial is None:
            return None
        if type(partial) is not dict:
            raise CommandError(14, "The field 'partialFilterExpression' must be an object")
        if self.sparse:
            raise CommandError(
                CANNOT_CREATE_INDEX, "cannot mix 'partialFilterExpression' and 'sparse' options"
            )
        _check_partial_filter(partial)
        compile_filter(partial)
        return partial

    def _checked_expiry(self, document: dict[str, Any]) -> int | None:
        seconds = document.get("expireAfterSeconds")
        if seconds is None:
            return None
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise CommandError(14, "The field 'expireAfterSeconds' must be a number")
        if not 0 <= seconds <= _MAX_EXPIRE_SECONDS:
            raise CommandError(
                CANNOT_CREATE_INDEX,
                "TTL index 'expireAfterSeconds' option must be within an acceptable range",
            )
        if len(self.key) != 1 or "_id" in self.key:
            raise CommandError(
                CANNOT_CREATE_INDEX,
                "TTL indexes are single-field indexes, compound indexes do not support TTL",
            )
        return int(seconds)

    def as_document(self) -> dict[str, Any]:
        """The declaration as `listIndexes` shows it and the data file keeps it."""
        document: dict[str, Any] = {"v": 2, "key": dict(self.key), "name": self.name}
        if self.unique:
            document["unique"] = True
        if self.sparse:
            document["sparse"] = True
        if self.partial_filter is not None:
            document["partialFilterExpression"] = self.partial_filter
        if self.expire_after_seconds is not None:
            document["expireAfterSeconds"] = self.expire_after_seconds
        return document


def _direction(path: str, direction: Any) -> int:
    if type(direction) is str:
        raise unsupported(f"an index of kind '{direction}'")
    if isinstance(direction, bool) or not isinstance(direction, int | float) or direction == 0:
        raise CommandError(
            CANNOT_CREATE_INDEX, f"Values in the index key pattern must be non-zero numbers: {path}"
        )
    if "$**" in path:
        raise unsupported("a wildcard index")
    return 1 if direction > 0 else -1


def _check_partial_filter(partial: dict[str, Any]) -> None:
    for name, operand in partial.items():
        if name == "$and" and type(operand) is list:
            for clause in operand:
                _check_partial_filter(clause)
            continue
        operators = operand if type(operand) is dict and next(iter(operand), "")[:1] == "$" else {}
        refused = [operator for operator in operators if operator not in _PARTIAL_OPERATORS]
        if name.startswith("$") or refused or operators.get("$exists", True) is False:
            raise CommandError(
                CANNOT_CREATE_INDEX,
                f"Expression not supported in partial index: {refused[0] if refused else name}",
            )
