"""What the drivers of the peers make of the lines that Node programs print."""

import pytest

from benchmarks.peers.answers import PeerFailed, answer_of
from benchmarks.peers.node import version_of


def test_an_answer_is_its_fields_without_ok() -> None:
    assert answer_of('{"ok": true, "count": 3, "first": null}\n', "failures") == {"count": 3, "first": None}


def test_an_error_is_told_in_the_words_of_the_peer() -> None:
    with pytest.raises(PeerFailed, match=r"could not 'register': connect ENOENT"):
        answer_of('{"ok": false, "error": "connect ENOENT"}\n', "register")


def test_the_end_of_the_peer_is_told() -> None:
    with pytest.raises(PeerFailed, match="ended before it answered 'empty'"):
        answer_of("", "empty")


@pytest.mark.parametrize(
    "line", ["node: warning\n", "[]\n", "7\n", '{"count": 1}\n', '{"ok": "yes"}\n', "{\n"]
)
def test_a_line_that_is_no_answer_is_refused(line: str) -> None:
    with pytest.raises(PeerFailed, match="which is no answer"):
        answer_of(line, "failures")


@pytest.mark.parametrize(
    ("told", "version"),
    [("v20.20.2\n", (20, 20, 2)), ("v22.0.0-nightly", (22, 0, 0)), ("v8.1.10", (8, 1, 10))],
)
def test_versions_of_node_compare_as_numbers(told: str, version: tuple[int, ...]) -> None:
    assert version_of(told) == version


@pytest.mark.parametrize("told", ["", "20", "node 20.1.2", "v20.1"])
def test_what_is_no_version_is_refused(told: str) -> None:
    with pytest.raises(SystemExit, match="which is no version"):
        version_of(told)
