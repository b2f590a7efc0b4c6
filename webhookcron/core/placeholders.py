"""The few values of a fire that a job may write into its payload, query and headers.

`{{ scheduledAt }}`, `{{ executionId }}`, `{{ jobId }}` and `{{ attempt }}` are replaced in one pass; there
is no expression language, no nesting and no escape. The same execution always yields the same text except for
`{{ attempt }}`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

NAMES = ("scheduledAt", "executionId", "jobId", "attempt")

# Anything that looks like one, to find those that are not on the list; and those that are. Nothing is gone back over
# (`*+`): payloads are large, and anyone may write them.
_ANY = re.compile(r"\{\{([^{}]*+)\}\}")
_KNOWN = re.compile(r"\{\{ *+(" + "|".join(NAMES) + r") *+\}\}")
_MAX_SHOWN = 80


def check_text(text: str) -> None:
    """Raise ValueError, fit for a user, when the text holds `{{ … }}` with a name that is not on the list."""
    for match in _ANY.finditer(text):
        if match.group(1).strip(" ") not in NAMES:
            known = ", ".join(f"{{{{ {name} }}}}" for name in NAMES)
            raise ValueError(f"unknown placeholder {match.group(0)[:_MAX_SHOWN]!r}; known are {known}")


def check_json(value: object) -> None:
    """Raise ValueError, fit for a user, for an unknown placeholder in a string or key of a JSON value."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            check_text(item)
        elif isinstance(item, Mapping):
            pending.extend(item.keys())
            pending.extend(item.values())
        elif isinstance(item, list | tuple):
            pending.extend(item)


@dataclass(frozen=True, slots=True)
class Template:
    """A text split at its placeholders once, so that filling it costs one join."""

    pieces: tuple[str, ...]
    names: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Template:
        """The template of a text; what is no known placeholder stays as it is (see `check_text`)."""
        parts = _KNOWN.split(text)
        return cls(pieces=tuple(parts[0::2]), names=tuple(parts[1::2]))

    def fill(self, values: Mapping[str, str], escape: Callable[[str], str] | None = None) -> str:
        """The text with every placeholder replaced by its value, each passed through `escape` if given."""
        if not self.names:
            return self.pieces[0]
        filled = [self.pieces[0]]
        for name, piece in zip(self.names, self.pieces[1:], strict=True):
            value = values[name]
            filled.append(value if escape is None else escape(value))
            filled.append(piece)
        return "".join(filled)
