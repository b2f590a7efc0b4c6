"""Why something cannot become a job."""

from __future__ import annotations

from webhookcron.core.errors import WebhookcronError


class NotImportable(WebhookcronError):
    """The command cannot become a webhook job; the message says why, as the end of a sentence about it."""


class RunsAnotherProgram(NotImportable):
    """The command runs `program`, not curl or wget; `follows` is the word after it, None when there is none."""

    def __init__(self, program: str, follows: str | None) -> None:
        super().__init__(f"it runs {program}, not curl or wget")
        self.program = program
        self.follows = follows
