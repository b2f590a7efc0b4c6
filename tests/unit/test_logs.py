import io
import json
import logging
from collections.abc import Callable, Iterator

import pytest
import structlog

from webhookcron.logs import colors_wanted, configure_logging, escape_control_characters

Logged = Callable[[], str]


@pytest.fixture
def logging_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()


@pytest.fixture
def json_lines(logging_restored: None) -> Callable[[], list[dict[str, object]]]:
    stream = io.StringIO()
    configure_logging("info", "json", stream=stream, environ={})
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture
def console(logging_restored: None) -> Logged:
    stream = io.StringIO()
    configure_logging("info", "console", stream=stream, environ={})
    return stream.getvalue


def test_an_event_is_one_json_object_with_moment_level_and_action(
    json_lines: Callable[[], list[dict[str, object]]],
) -> None:
    structlog.get_logger().info("ticker.started", shards=1)

    (line,) = json_lines()
    assert str(line.pop("at")).endswith("Z")
    assert line == {"level": "info", "action": "ticker.started", "shards": 1}


def test_a_library_record_takes_the_same_form(json_lines: Callable[[], list[dict[str, object]]]) -> None:
    logging.getLogger("celery.worker").warning("lost %s", "broker", extra={"jobId": "j1"})

    (line,) = json_lines()
    del line["at"]
    assert line == {"level": "warning", "action": "celery.worker", "message": "lost broker", "jobId": "j1"}


def test_an_action_given_by_name_wins_over_the_text(
    json_lines: Callable[[], list[dict[str, object]]],
) -> None:
    logging.getLogger("any").info("A job was made", extra={"action": "job.created"})

    (line,) = json_lines()
    assert (line["action"], line["message"]) == ("job.created", "A job was made")


def test_an_exception_stays_in_its_event(json_lines: Callable[[], list[dict[str, object]]]) -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        structlog.get_logger().exception("tick.failed")

    (line,) = json_lines()
    assert "ValueError: first\nsecond" in str(line["exception"])


@pytest.mark.parametrize(
    "fields",
    [
        {"api_key": "hunter2"},
        {"Authorization": "Bearer hunter2"},
        {"signing_secret": "hunter2"},
        {"headers": {"Cookie": "hunter2"}},
        {"uri": "mongodb://me:hunter2@db/wc"},
        {"uris": ["redis://:hunter2@cache"]},
        {"text": "the key whk_hunter2 was used"},
        {"text": "signed with whsec_hunter2"},
    ],
)
def test_secrets_are_masked_wherever_they_stand(
    json_lines: Callable[[], list[dict[str, object]]], fields: dict[str, object]
) -> None:
    structlog.get_logger().info("event", **fields)

    (line,) = json_lines()
    assert "hunter2" not in json.dumps(line)
    assert "***" in json.dumps(line)


def test_secrets_are_masked_in_tracebacks(json_lines: Callable[[], list[dict[str, object]]]) -> None:
    password = "hunter2"
    try:
        raise ConnectionError(f"redis://:{password}@cache is away")
    except ConnectionError:
        logging.getLogger("redis").exception("lost")

    (line,) = json_lines()
    assert "hunter2" not in str(line["exception"])


def test_the_level_is_kept(json_lines: Callable[[], list[dict[str, object]]]) -> None:
    structlog.get_logger().debug("tick.looked")
    logging.getLogger("celery").debug("detail")

    assert json_lines() == []


def test_the_console_escapes_what_could_forge_a_line(console: Logged) -> None:
    structlog.get_logger().info("job.created", name="x\n2026 error forged \x1b[2J \u202e")

    (line,) = console().splitlines()
    assert r'name="x\n2026 error forged \x1b[2J \u202e"' in line


def test_a_traceback_on_the_console_stays_behind_bars(console: Logged) -> None:
    try:
        raise ValueError("a\nb")
    except ValueError:
        structlog.get_logger().exception("tick.failed")

    first, *rest = console().splitlines()
    assert " tick.failed" in first
    assert rest
    assert all(line.startswith("    | ") for line in rest)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
)
def test_a_pipe_is_coloured_only_on_demand(environ: dict[str, str], expected: bool) -> None:
    assert colors_wanted(io.StringIO(), environ) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("Größe ✓", "Größe ✓"),
        ("a\tb\r\n", r"a\x09b\x0d\n"),
        ("\u2028\ud800", r"\u2028\ud800"),
    ],
)
def test_escaping_keeps_letters_and_shows_the_rest(text: str, expected: str) -> None:
    assert escape_control_characters(text) == expected
