"""One line per event, for people or for machines, from this project and from the libraries alike.

Every line has a moment, a level and an `action` that names what happened (`ticker.started`). An event logged
as `log.info("ticker.started", shards=1)` has it as its name; a library's record has its logger's name there
and its text as `message`. Values that are or carry secrets are masked whatever the caller passed. Events that
come very often are told in part (see `log_limits`).
"""

from __future__ import annotations

import logging
import os
import re
import sys
import unicodedata
from collections.abc import Mapping
from typing import Any, ClassVar, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from webhookcron.log_limits import Calm

MASK = "***"

_SECRET_NAMES = re.compile(
    r"(password|passwd|secret|token|authorization|cookie|credential|api_?key|private_?key)s?$", re.IGNORECASE
)
_SECRETS_IN_TEXT = re.compile(r"(?<=://)[^/@\s]+(?=@)|(?<=whk_)[\w-]{4,}|(?<=whsec_)[A-Za-z0-9+/=_-]{4,}")
"""Credentials in URLs, API keys and signing secrets; their prefix stays, so that one sees what was masked."""

_CHATTY_LIBRARIES = {
    "pymongo": logging.WARNING,
    "celery": logging.WARNING,
    "urllib3": logging.WARNING,
    "kombu": logging.WARNING,
    # Told once, by `webhookcron.tracing`; the library does so for each batch.
    "opentelemetry": logging.CRITICAL,
}
"""Libraries that tell their inner life at debug or info; asked for debug, they would drown the rest."""


def configure_logging(
    level: str = "info",
    log_format: str = "console",
    *,
    stream: TextIO | None = None,
    environ: Mapping[str, str] = os.environ,
) -> None:
    """Route everything this process logs, the libraries' records included, to `stream` in one form.

    `stream` is standard error unless given. `level` and `log_format` are the settings of those names. Calling
    it again replaces what was configured.
    """
    output = sys.stderr if stream is None else stream
    gather: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]
    line: Processor = structlog.processors.JSONRenderer(default=str)
    if log_format == "console":
        line = ConsoleLine(colors=colors_wanted(output, environ))
    handler = logging.StreamHandler(output)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=gather,
            processors=[
                name_the_action,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                mask_secrets,
                line,
            ],
        )
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            Calm(),
            *gather,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, least in _CHATTY_LIBRARIES.items():
        logging.getLogger(name).setLevel(max(least, root.level))
    logging.captureWarnings(True)


def colors_wanted(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether to colour: on a terminal, unless NO_COLOR is set (no-color.org); FORCE_COLOR colours pipes."""
    if environ.get("NO_COLOR"):
        return False
    return bool(environ.get("FORCE_COLOR")) or stream.isatty()


def name_the_action(logger: WrappedLogger, method_name: str, event: EventDict) -> EventDict:
    """Put moment, level and `action` first, and the text that an event has besides them as `message`."""
    text = event.pop("event", "")
    action = event.pop("action", None)
    if action is None:
        action = text if event.get("_from_structlog") else event["_record"].name
    head = {"at": event.pop("at"), "level": event.pop("level"), "action": action}
    if text and text != action:
        head["message"] = text
    return {**head, **event}


def mask_secrets(logger: WrappedLogger, method_name: str, event: EventDict) -> EventDict:
    """Mask values whose name says that they are secret, and credentials inside texts."""
    return {name: _masked(name, value) for name, value in event.items()}


def escape_control_characters(text: str) -> str:
    r"""`text` with everything escaped that could break a line, move a cursor or turn the writing direction.

    A line feed becomes `\n`, others `\xNN` or `\uNNNN`.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(character) for character in text)


class ConsoleLine:
    """Renders an event as `moment level action message name=value …`.

    The lines of a traceback follow, each behind a bar: a message's content never looks like another event.
    """

    _LEVEL_COLORS: ClassVar[dict[str, str]] = {
        "debug": "\033[2m",
        "info": "\033[32m",
        "warning": "\033[33m",
        "error": "\033[31m",
        "critical": "\033[31;1m",
    }
    _BOLD = "\033[1m"
    _DIM = "\033[2m"
    _PLAIN = "\033[0m"

    def __init__(self, *, colors: bool) -> None:
        self._colors = colors

    def __call__(self, logger: WrappedLogger, method_name: str, event: EventDict) -> str:
        level = event.pop("level")
        exception = event.pop("exception", None)
        message = event.pop("message", None)
        parts = [
            self._styled(event.pop("at"), self._DIM),
            self._styled(f"{level:<7}", self._LEVEL_COLORS.get(level, "")),
            self._styled(escape_control_characters(str(event.pop("action"))), self._BOLD),
        ]
        if message is not None:
            parts.append(escape_control_characters(str(message)))
        parts += [f"{name}={_console_value(value)}" for name, value in event.items()]
        traceback = [f"    | {escape_control_characters(line)}" for line in (exception or "").splitlines()]
        return "\n".join([" ".join(parts), *traceback])

    def _styled(self, text: str, style: str) -> str:
        return f"{style}{text}{self._PLAIN}" if self._colors and style else text


def _console_value(value: Any) -> str:
    text = escape_control_characters(str(value))
    return f'"{text}"' if not text or " " in text else text


def _masked(name: str, value: Any) -> Any:
    if _SECRET_NAMES.search(name) and isinstance(value, (str, bytes, list, tuple, Mapping)):
        return MASK
    if isinstance(value, str):
        return _SECRETS_IN_TEXT.sub(MASK, value)
    if isinstance(value, Mapping):
        return {str(key): _masked(str(key), item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_masked("", item) for item in value]
    return value


def _escaped(character: str) -> str:
    if character == "\n":
        return "\\n"
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        code = ord(character)
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    return character
