from collections.abc import Callable
from pathlib import Path

import pytest

from webhookcron.manifests.errors import ManifestsWrong
from webhookcron.manifests.files import JobEntry, read_entries

Entries = Callable[[str], list[JobEntry]]

TWO = """\
defaults:
  timezone: Europe/Berlin
  tags: [team]
jobs:
  - key: a
    name: A
  - key: b
    name: B
    tags: null
"""


def test_defaults_are_laid_under_each_job(entries: Entries) -> None:
    a, b = entries(TWO)

    assert a.fields == {"key": "a", "name": "A", "timezone": "Europe/Berlin", "tags": ["team"]}
    assert b.fields == {"key": "b", "name": "B", "timezone": "Europe/Berlin", "tags": None}


def test_a_field_is_placed_where_it_stands(entries: Entries) -> None:
    a, b = entries(TWO)

    assert (a.place().line, a.place(("name",)).line) == (5, 6)
    assert a.place(("timezone",)).line == 2
    assert b.place(("tags", 0)).line == 9
    assert b.place(("webhookUrl",)).line == 7


def test_directories_are_read_through_in_order(tmp_path: Path) -> None:
    for name in ("b.yml", "a.yaml", "sub/c.json", ".hidden/d.yaml", "notes.txt"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f'{{"jobs": [{{"key": "{file.stem}"}}]}}')

    assert [entry.key for entry in read_entries([str(tmp_path)])] == ["a", "b", "c"]


def test_a_file_that_is_named_twice_is_read_once(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("jobs: [{key: a}]")

    assert len(read_entries([str(tmp_path), str(file)])) == 1


def test_a_key_in_two_files_is_told_with_both_places(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text("jobs:\n  - name: X\n    key: same\n")

    with pytest.raises(ManifestsWrong) as caught:
        read_entries([str(tmp_path)])

    [problem] = caught.value.problems
    assert str(problem) == f"{tmp_path}/b.yaml:3: the key 'same' is taken in {tmp_path}/a.yaml:3"


def test_everything_that_is_wrong_is_told_at_once(entries: Entries) -> None:
    with pytest.raises(ManifestsWrong) as caught:
        entries("default: {}\ndefaults: {key: x}\njobs:\n  - name: A\n  - just text\n")

    told = [(problem.place.line, problem.message) for problem in caught.value.problems]
    assert told == [
        (1, "'default' is not known here; did you mean defaults?"),
        (2, "key cannot be a default: each job has its own"),
        (4, "a job in a file needs a key, a text that stays the same"),
        (5, "each job must be a mapping of fields, beginning with `key: …`"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- key: a\n", "must be a mapping with the list `jobs`"),
        ("key: a\nname: A\n", "must be a mapping with the list `jobs`"),
        ("jobs: {a: {}}\n", "jobs must be a list"),
        ("jobs: []\ndefaults: []\n", None),
        ("jobs: []\ndefaults: [1]\n", "defaults must be a mapping"),
        ("jobs: [{key: 7}]\n", "needs a key, a text"),
    ],
)
def test_the_shape_of_a_file_is_checked(entries: Entries, text: str, message: str | None) -> None:
    if message is None:
        assert entries(text) == []
        return
    with pytest.raises(ManifestsWrong, match=message):
        entries(text)


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "latin.yaml").write_bytes(b"jobs: [{key: \xe4}]")

    with pytest.raises(ManifestsWrong) as caught:
        read_entries([str(tmp_path / name) for name in ("nowhere.yaml", "empty", "latin.yaml")])

    assert [problem.message for problem in caught.value.problems] == [
        "holds no .yaml, .yml or .json file",
        "is no UTF-8 text",
        "cannot be read: No such file or directory",
    ]
