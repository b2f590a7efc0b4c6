"""What went wrong, as a page for people or a sentence for the pages' scripts."""

from __future__ import annotations

from typing import Any

import structlog
from flask import Blueprint, render_template
from werkzeug.exceptions import HTTPException

from webhookcron.api.errors import DEFAULT_MESSAGES
from webhookcron.core.errors import (
    BrokerUnavailable,
    CorruptDocument,
    EmailTaken,
    KeyTaken,
    NotFinal,
    NotFound,
    SecretUnreadable,
    StoreUnavailable,
    TickSourceUnavailable,
    VersionConflict,
    WebhookcronError,
)
from webhookcron.dashboard.guard import ForgedRequest, wants_fragment
from webhookcron.service.errors import Conflict, Forbidden, Invalid, TooMany

log = structlog.get_logger(__name__)


def register(blueprint: Blueprint) -> None:
    """Answer every exception that a view raises."""
    blueprint.register_error_handler(WebhookcronError, _answer)
    blueprint.register_error_handler(ForgedRequest, _forged)
    blueprint.register_error_handler(HTTPException, _http)
    blueprint.register_error_handler(Exception, _unexpected)


def sentence_of(error: WebhookcronError) -> tuple[int, str]:
    """The status and the sentence that tell a person about `error`."""
    match error:
        case NotFound():
            return 404, "There is nothing here: it may have been deleted, or it belongs to someone else."
        case Invalid():
            return 422, " ".join(_sentences(error.errors)) or "The input is not valid."
        case KeyTaken() | EmailTaken() | Conflict() | TooMany() | Forbidden():
            status = {Forbidden: 403, TooMany: 429}.get(type(error), 409)
            return status, _capital(str(error)) + "."
        case NotFinal():
            return 409, "The execution is still under way; try again when it has ended."
        case VersionConflict():
            return 412, "Someone else changed this meanwhile. Load the page again and decide anew."
        case StoreUnavailable() | TickSourceUnavailable() | BrokerUnavailable():
            log.warning("dashboard.unavailable", error=str(error))
            which = "MongoDB" if isinstance(error, StoreUnavailable) else "Redis"
            return 503, f"{which} is away or too slow at the moment. Try again in a few seconds."
        case SecretUnreadable():
            log.error("dashboard.secret_unreadable", error=str(error))
            return 500, "A stored secret cannot be decrypted with the present WEBHOOKCRON_SECRET_KEY."
        case CorruptDocument():
            log.error("dashboard.corrupt_document", document_id=str(error.document_id), error=error.reason)
            return 500, "A stored document cannot be read; the log has the details."
        case _:
            log.error("dashboard.unexpected", error=repr(error))
            return 500, "Something went wrong here; the log has the details."


def page(status: int, sentence: str) -> Any:
    """The answer: a page, or JSON for a script."""
    if wants_fragment():
        return {"message": sentence}, status
    return render_template("dashboard/error.html", status=status, sentence=sentence), status


def _answer(error: WebhookcronError) -> Any:
    return page(*sentence_of(error))


def _forged(_error: ForgedRequest) -> Any:
    return page(
        403, "This form was too old, or came from another site. Go back, load the page again, and retry."
    )


def _http(error: HTTPException) -> Any:
    if error.code is None or error.code < 400:
        return error
    if error.code == 404:
        return page(404, "There is no such page.")
    return page(
        error.code, _capital(DEFAULT_MESSAGES.get(error.code) or error.description or error.name) + "."
    )


def _unexpected(error: Exception) -> Any:
    log.exception("dashboard.failed", error=repr(error))
    return page(500, "Something went wrong here; the log has the details.")


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:].rstrip(".")


def _sentences(errors: Any) -> list[str]:
    if isinstance(errors, dict):
        return [sentence for value in errors.values() for sentence in _sentences(value)]
    if isinstance(errors, list):
        return [sentence for value in errors for sentence in _sentences(value)]
    return [_capital(str(errors)) + "."]
