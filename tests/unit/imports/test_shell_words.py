import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookcron.imports.errors import NotImportable
from webhookcron.imports.shell_words import read_line


def words_of(text: str) -> list[str]:
    [command] = read_line(text, lambda name: f"<{name}>").commands
    return command.words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a  b\tc", ["a", "b", "c"]),
        ("a 'b c' \"d e\" f\\ g", ["a", "b c", "d e", "f g"]),
        ("a'b'\"c\"d", ["abcd"]),
        ("'' \"\"", ["", ""]),
        ("a \\\n  b", ["a", "b"]),
        ("'$A' \"$A\" $A ${A}x", ["$A", "<A>", "<A>", "<A>x"]),
        ('"a\\"b\\\\c\\d\\$e"', ['a"b\\c\\d$e']),
        ("$'a\\'b\\n\\x41\\u00e4'", ["a'b\nAä"]),
        ("a#b c # d", ["a#b", "c"]),
        ("5$ $", ["5$", "$"]),
    ],
)
def test_words_are_those_of_the_shell(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@given(
    st.lists(
        st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\r"), max_size=12), min_size=1
    )
)
def test_what_is_quoted_for_a_shell_is_read_as_it_was(words: list[str]) -> None:
    assert words_of(shlex.join(words)) == words


def test_operators_and_redirections_are_kept_apart() -> None:
    line = read_line("a 'x|y' >> f 2>&1 | b && c;", str)

    assert [command.words for command in line.commands] == [["a", "x|y"], ["b"], ["c"]]
    assert line.operators == ["|", "&&"]
    assert line.commands[0].redirections == [(">>", "f"), ("2>&", "1")]


@pytest.mark.parametrize(
    "text", ["'a", '"a', "$'a", "$(a)", "`a`", "${a:-b}", "$1", "$?", '"$(a)"', "$'\\x'"]
)
def test_what_only_a_shell_can_tell_is_refused(text: str) -> None:
    with pytest.raises(NotImportable):
        words_of(text)
