"""Errors that the embedded store answers with, numbered as MongoDB numbers them.

Source of the numbers: MongoDB's `error_codes.yml` and the location codes that drivers see in server replies.
"""

from typing import Any

BAD_VALUE = 2
FAILED_TO_PARSE = 9
TYPE_MISMATCH = 14
OVERFLOW = 15
INVALID_BSON = 22
NAMESPACE_NOT_FOUND = 26
INDEX_NOT_FOUND = 27
PATH_NOT_VIABLE = 28
CONFLICTING_UPDATE_OPERATORS = 40
CURSOR_NOT_FOUND = 43
NAMESPACE_EXISTS = 48
DOLLAR_PREFIXED_FIELD_NAME = 52
INVALID_ID_FIELD = 53
NOT_SINGLE_VALUE_FIELD = 54
EMPTY_FIELD_NAME = 56
COMMAND_NOT_FOUND = 59
IMMUTABLE_FIELD = 66
CANNOT_CREATE_INDEX = 67
INVALID_OPTIONS = 72
INVALID_NAMESPACE = 73
INDEX_OPTIONS_CONFLICT = 85
INDEX_KEY_SPECS_CONFLICT = 86
OPERATION_FAILED = 96
CANNOT_INDEX_PARALLEL_ARRAYS = 171
INVALID_INDEX_SPECIFICATION_OPTION = 197
NOT_IMPLEMENTED = 238
DOCUMENT_TOO_LARGE = 10334
DUPLICATE_KEY = 11000
OUT_OF_DISK_SPACE = 14031
UNKNOWN_STAGE = 40324
MISSING_FIELD = 40414
UNKNOWN_FIELD = 40415

CODE_NAMES = {
    BAD_VALUE: "BadValue",
    FAILED_TO_PARSE: "FailedToParse",
    TYPE_MISMATCH: "TypeMismatch",
    OVERFLOW: "Overflow",
    INVALID_BSON: "InvalidBSON",
    NAMESPACE_NOT_FOUND: "NamespaceNotFound",
    INDEX_NOT_FOUND: "IndexNotFound",
    PATH_NOT_VIABLE: "PathNotViable",
    CONFLICTING_UPDATE_OPERATORS: "ConflictingUpdateOperators",
    CURSOR_NOT_FOUND: "CursorNotFound",
    NAMESPACE_EXISTS: "NamespaceExists",
    DOLLAR_PREFIXED_FIELD_NAME: "DollarPrefixedFieldName",
    INVALID_ID_FIELD: "InvalidIdField",
    NOT_SINGLE_VALUE_FIELD: "NotSingleValueField",
    EMPTY_FIELD_NAME: "EmptyFieldName",
    COMMAND_NOT_FOUND: "CommandNotFound",
    IMMUTABLE_FIELD: "ImmutableField",
    CANNOT_CREATE_INDEX: "CannotCreateIndex",
    INVALID_OPTIONS: "InvalidOptions",
    INVALID_NAMESPACE: "InvalidNamespace",
    INDEX_OPTIONS_CONFLICT: "IndexOptionsConflict",
    INDEX_KEY_SPECS_CONFLICT: "IndexKeySpecsConflict",
    OPERATION_FAILED: "OperationFailed",
    CANNOT_INDEX_PARALLEL_ARRAYS: "CannotIndexParallelArrays",
    INVALID_INDEX_SPECIFICATION_OPTION: "InvalidIndexSpecificationOption",
    NOT_IMPLEMENTED: "NotImplemented",
    DOCUMENT_TOO_LARGE: "BSONObjectTooLarge",
    DUPLICATE_KEY: "DuplicateKey",
    OUT_OF_DISK_SPACE: "OutOfDiskSpace",
}


class CommandError(Exception):
    """A command, or one write of it, is refused; nothing of it was changed.

    `code` is MongoDB's number, `details` are further fields of the error document (such as `keyPattern`).
    """

    def __init__(self, code: int, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details or {}

    @property
    def code_name(self) -> str:
        """MongoDB's name of the code; a numbered location where it has none."""
        return CODE_NAMES.get(self.code, f"Location{self.code}")

    def as_reply(self) -> dict[str, Any]:
        """The reply of a command that failed as a whole."""
        return {
            "ok": 0.0,
            "errmsg": self.message,
            "code": self.code,
            "codeName": self.code_name,
            **self.details,
        }

    def as_write_error(self, index: int) -> dict[str, Any]:
        """The entry of `writeErrors` for the write at this position of its command."""
        return {"index": index, "code": self.code, "errmsg": self.message, **self.details}


class StoreUnavailable(Exception):
    """The data file cannot be opened, read or locked; the message says which and why.

    `exit_code` is what the server process ends with.
    """

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def unsupported(what: str) -> CommandError:
    """An error for something MongoDB knows and this store does not."""
    return CommandError(NOT_IMPLEMENTED, f"{what} is not supported by webhookcron's embedded store")
