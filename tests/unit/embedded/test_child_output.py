import io

import pytest

from webhookcron.embedded.child_output import MAX_LINE_BYTES, LineSplitter, PrefixedOutput


def split(*pieces: bytes) -> list[str]:
    splitter = LineSplitter()
    return [line for piece in pieces for line in splitter.feed(piece)] + list(splitter.end())


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([b"one\ntwo\n"], ["one", "two"]),
        ([b"on", b"e\nt", b"wo"], ["one", "two"]),
        ([b"one\r\n"], ["one"]),
        ([b"\n"], [""]),
        ([], []),
        (["Grö".encode()[:3], "Größe".encode()[3:] + b"\n"], ["Größe"]),
        ([b"\xff\n"], [r"\xff"]),
    ],
)
def test_lines_are_found_whatever_pieces_they_come_in(pieces: list[bytes], lines: list[str]) -> None:
    assert split(*pieces) == lines


def test_an_endless_line_is_cut() -> None:
    lines = split(b"x" * (MAX_LINE_BYTES * 2 + 1))

    assert [len(line) for line in lines] == [MAX_LINE_BYTES, MAX_LINE_BYTES, 1]


def test_a_line_stands_behind_the_name() -> None:
    stream = io.StringIO()

    PrefixedOutput(stream, colors=False).line("api", "hello")

    assert stream.getvalue() == "api      | hello\n"


def test_without_colours_none_come_through_and_control_characters_are_shown() -> None:
    stream = io.StringIO()

    PrefixedOutput(stream, colors=False).line("api", "\033[31mred\033[0m \033[2J\b")

    assert stream.getvalue() == "api      | red \\x1b[2J\\x08\n"


def test_with_colours_only_colours_come_through() -> None:
    stream = io.StringIO()

    PrefixedOutput(stream, colors=True).line("api", "\033[31mred\033[0m \033[2J")

    assert "\033[31mred\033[0m \\x1b[2J\n" in stream.getvalue()
    assert "\033[2J" not in stream.getvalue()


def test_what_a_plain_terminal_lacks_is_escaped() -> None:
    written = io.BytesIO()
    with io.TextIOWrapper(written, encoding="ascii") as stream:
        PrefixedOutput(stream, colors=False).line("api", "Grüße")

        assert written.getvalue() == b"api      | Gr\\xfc\\xdfe\n"


class GonePipe(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_reader_that_is_gone_is_noticed_once() -> None:
    output = PrefixedOutput(GonePipe(), colors=False)

    output.line("api", "one")
    output.line("api", "two")

    assert output.lost
