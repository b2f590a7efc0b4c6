"""The project's exceptions: one class per decision that a caller can take."""

from __future__ import annotations


class WebhookcronError(Exception):
    """Root of every exception raised on purpose by this package."""


class StoreUnavailable(WebhookcronError):
    """MongoDB could not be reached, or did not acknowledge in time: nothing is known about the write, try again."""


class TickSourceUnavailable(WebhookcronError):
    """Redis could not be reached in time: what was to be mirrored stays marked in MongoDB and is mirrored later."""


class BrokerUnavailable(WebhookcronError):
    """The message broker took no message in time: the executions stay queued in MongoDB and are pushed again later."""


class NotFound(WebhookcronError):
    """No such document for this owner."""


class VersionConflict(WebhookcronError):
    """The document was changed by someone else since it was read: read it again and decide anew."""

    def __init__(self, current_version: int | None = None) -> None:
        super().__init__("the document was changed meanwhile")
        self.current_version = current_version


class KeyTaken(WebhookcronError):
    """Another job of this owner already has this key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"key {key!r} is already used by another job")
        self.key = key


class EmailTaken(WebhookcronError):
    """Another account already has this address."""

    def __init__(self, email: str) -> None:
        super().__init__("another account already has this address")
        self.email = email


class NotFinal(WebhookcronError):
    """The execution is still under way, so it cannot be removed or replayed yet."""


class CorruptDocument(WebhookcronError):
    """A stored document cannot be read as what it should be; it is set aside, the rest goes on."""

    def __init__(self, document_id: object, reason: str) -> None:
        super().__init__(f"document {document_id!r} cannot be read: {reason}")
        self.document_id = document_id
        self.reason = reason


class SecretUnreadable(WebhookcronError):
    """A stored secret cannot be decrypted with the present secret keys: put back the key that was in use."""

    def __init__(self, document_id: object, reason: str) -> None:
        super().__init__(reason)
        self.document_id = document_id
        self.reason = reason
