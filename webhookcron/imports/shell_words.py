"""One shell command as its words, and what stands around it.

`shlex` gives words but not what matters here besides: whether a `$`, a `|` or a `*` was quoted, which of a `;` and
`&&` ends a command, and `$'…'`, in which browsers copy requests. Quoting is that of the POSIX shell, section 2.2 of its
"Shell Command Language", and the `$'…'` of its Issue 8.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from webhookcron.imports.errors import NotImportable

MAX_CHARACTERS = 256 * 1024

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_REDIRECTION = re.compile(r"(?:[0-9]+|&)?(?:>>|>\||>&|<<<|<<|<&|<>|>|<)")
_OPERATORS = ("||", "&&", ";;", "|&", "|", ";", "&", "\n", "(", ")")
_ESCAPES = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "a": "\a",
    "b": "\b",
    "e": "\x1b",
    "f": "\f",
    "v": "\v",
    "0": "\0",
}
_HEXADECIMAL = {"x": 2, "u": 4, "U": 8}

Variable = Callable[[str], str]
"""Gives the text that stands for a variable; raises NotImportable when it stands for nothing known."""


@dataclass(slots=True)
class Command:
    """A simple command."""

    words: list[str] = field(default_factory=list)
    redirections: list[tuple[str, str]] = field(default_factory=list)
    """(operator, target), such as (">", "/dev/null") and ("2>&", "1")."""


@dataclass(slots=True)
class Line:
    """Commands, and the operators between them: one operator fewer than commands, but for a final `&` or `;`."""

    commands: list[Command]
    operators: list[str]


def read_line(text: str, variable: Variable) -> Line:
    """The commands in `text`; each variable outside of single quotes becomes what `variable` says.

    Raises NotImportable for what only a shell can tell: `$(…)`, backquotes, arithmetic, and open quotes.
    """
    if len(text) > MAX_CHARACTERS:
        raise NotImportable(f"it has more than {MAX_CHARACTERS} characters")
    return _Reader(text, variable).line()


class _Reader:
    def __init__(self, text: str, variable: Variable) -> None:
        self._text = text
        self._at = 0
        self._variable = variable

    def line(self) -> Line:
        line = Line([Command()], [])
        while True:
            self._skip_blanks()
            rest = self._text[self._at :]
            if not rest or rest[0] == "#":
                break
            redirection = _REDIRECTION.match(rest)
            if redirection is not None:
                self._at += redirection.end()
                self._skip_blanks()
                line.commands[-1].redirections.append((redirection[0], self._word()))
                continue
            operator = next((operator for operator in _OPERATORS if rest.startswith(operator)), None)
            if operator is not None:
                self._at += len(operator)
                line.operators.append(operator)
                line.commands.append(Command())
                continue
            line.commands[-1].words.append(self._word())
        while len(line.commands) > 1 and not line.commands[-1].words and line.operators[-1] in (";", "\n"):
            line.commands.pop()
            line.operators.pop()
        return line

    def _skip_blanks(self) -> None:
        while self._at < len(self._text):
            if self._text[self._at] in " \t\r":
                self._at += 1
            elif self._text.startswith(("\\\n", "\\\r\n"), self._at):
                self._at = self._text.index("\n", self._at) + 1
            else:
                return

    def _word(self) -> str:
        parts: list[str] = []
        while self._at < len(self._text):
            character = self._text[self._at]
            if character in " \t\r\n|&;<>()":
                break
            self._at += 1
            if character == "'":
                parts.append(self._until("'"))
            elif character == '"':
                parts.append(self._double_quoted())
            elif character == "\\":
                parts.append(self._escaped())
            elif character == "$" and self._text.startswith("'", self._at):
                self._at += 1
                parts.append(self._c_quoted())
            elif character == "$":
                parts.append(self._expansion())
            elif character == "`":
                raise NotImportable("it runs a command in `…`")
            else:
                parts.append(character)
        return "".join(parts)

    def _until(self, quote: str) -> str:
        end = self._text.find(quote, self._at)
        if end < 0:
            raise NotImportable(f"the quote {quote} is not closed")
        text, self._at = self._text[self._at : end], end + 1
        return text

    def _escaped(self) -> str:
        if self._at >= len(self._text):
            return "\\"
        character = self._text[self._at]
        self._at += 1
        return "" if character == "\n" else character

    def _double_quoted(self) -> str:
        parts: list[str] = []
        while self._at < len(self._text):
            character = self._text[self._at]
            self._at += 1
            if character == '"':
                return "".join(parts)
            if character == "\\" and self._text[self._at : self._at + 1] in ('"', "\\", "$", "`", "\n"):
                parts.append(self._escaped())
            elif character == "$":
                parts.append(self._expansion())
            elif character == "`":
                raise NotImportable("it runs a command in `…`")
            else:
                parts.append(character)
        raise NotImportable('the quote " is not closed')

    def _c_quoted(self) -> str:
        parts: list[str] = []
        while self._at < len(self._text):
            character = self._text[self._at]
            self._at += 1
            if character == "'":
                return "".join(parts)
            if character != "\\" or self._at >= len(self._text):
                parts.append(character)
                continue
            escape = self._text[self._at]
            self._at += 1
            if escape in _HEXADECIMAL:
                digits = re.compile(rf"[0-9a-fA-F]{{1,{_HEXADECIMAL[escape]}}}").match(self._text, self._at)
                if digits is None or int(digits[0], 16) > 0x10FFFF:
                    raise NotImportable(f"\\{escape} in $'…' has no digits")
                self._at = digits.end()
                parts.append(chr(int(digits[0], 16)))
            else:
                parts.append(_ESCAPES.get(escape, escape))
        raise NotImportable("the quote $' is not closed")

    def _expansion(self) -> str:
        rest = self._text[self._at :]
        if rest.startswith("("):
            raise NotImportable("it computes something in $(…)")
        name = _NAME.match(rest)
        if name is not None:
            self._at += name.end()
            return self._variable(name[0])
        if rest.startswith("{"):
            inner = self._text[self._at + 1 : self._text.find("}", self._at)]
            if _NAME.fullmatch(inner) is None:
                raise NotImportable("it changes a variable in ${…}")
            self._at += len(inner) + 2
            return self._variable(inner)
        if rest[:1].isdigit() or rest[:1] in tuple("?!$@*#-"):
            raise NotImportable(f"${rest[:1]} means something to a shell only")
        return "$"
