"""Why something cannot become a job."""

from __future__ import annotations

from webhookcron.core.errors import WebhookcronError


class NotImportable(WebhookcronError):
    """The command cannot become a webhook job; the message says why, as the end of a sentence about it."""
