"""Options of curl and wget taken apart by a table, as getopt_long does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from webhookcron.imports.errors import NotImportable


@dataclass(frozen=True, slots=True)
class OptionTable:
    """What a tool understands.

    short       letter -> long name.
    valued      long names that take a value.
    flags       long names that take none.
    """

    tool: str
    short: Mapping[str, str]
    valued: frozenset[str]
    flags: frozenset[str]

    def parse(self, words: Sequence[str]) -> Iterator[tuple[str, str]]:
        """(long name, value) of each option, ("", word) for what is none; the value of a flag is empty.

        Raises NotImportable for unknown options and missing values.
        """
        rest = list(words)
        while rest:
            word = rest.pop(0)
            if word == "--":
                yield from (("", other) for other in rest)
                return
            if word.startswith("--"):
                name, equals, value = word[2:].partition("=")
                yield self._long(name, value if equals else None, rest)
            elif word.startswith("-") and word != "-":
                yield from self._cluster(word[1:], rest)
            else:
                yield "", word

    def _long(self, name: str, value: str | None, rest: list[str]) -> tuple[str, str]:
        if name in self.flags:
            return name, ""
        if name not in self.valued:
            raise NotImportable(f"its option --{name} is not known here")
        return name, self._value(f"--{name}", value, rest)

    def _cluster(self, letters: str, rest: list[str]) -> Iterator[tuple[str, str]]:
        while letters:
            letter, letters = letters[0], letters[1:]
            name = self.short.get(letter)
            # wget writes some as -nv and -nc.
            if letter == "n" and letters and f"n{letters[0]}" in self.short:
                name, letters = self.short[f"n{letters[0]}"], letters[1:]
            if name is None:
                raise NotImportable(f"its option -{letter} is not known here")
            if name in self.valued:
                yield name, self._value(f"-{letter}", letters or None, rest)
                return
            yield name, ""

    def _value(self, option: str, value: str | None, rest: list[str]) -> str:
        if value is not None:
            return value
        if not rest:
            raise NotImportable(f"its option {option} has no value")
        return rest.pop(0)
