"""An attempt as a command line."""

import shlex
from datetime import UTC, datetime

from webhookcron.core.executions import Attempt
from webhookcron.core.request_spec import RequestSpec
from webhookcron.dashboard.curl_command import curl_command

NOW = datetime(2030, 1, 31, 9, tzinfo=UTC)


def attempt(method: str | None = "POST", url: str = "https://example.com/hook?a=1&b=it's") -> Attempt:
    return Attempt(
        number=1,
        started_at=NOW,
        duration_ms=5,
        request_method=method,
        request_url=url,
        request_headers=(("Content-Type", "application/json"), ("Host", "example.com"), ("X-Key", "***")),
    )


def words(command: str | None) -> list[str]:
    assert command is not None
    return shlex.split(command.replace("\\\n", " "))


def test_the_shell_reads_the_very_request_out_of_it() -> None:
    request = RequestSpec(url="https://example.com", payload={"text": "it's; $(rm -rf /) `x` \n é"})
    assert words(curl_command(attempt(), request)) == [
        "curl", "-X", "POST", "https://example.com/hook?a=1&b=it's",
        "-H", "Content-Type: application/json", "-H", "X-Key: ***",
        "--data-binary", '{"text":"it\'s; $(rm -rf /) `x` \\n é"}',
    ]  # fmt: skip


def test_text_is_sent_as_it_is() -> None:
    request = RequestSpec(url="https://example.com", payload="a=1", content_type="text/plain")
    assert words(curl_command(attempt(), request))[-1] == "a=1"


def test_a_body_that_is_not_kept_is_left_to_fill_in() -> None:
    assert words(curl_command(attempt(), RequestSpec(url="https://example.com")))[-1] == "@body.json"
    assert words(curl_command(attempt(), None))[-1] == "@body.json"
    long = RequestSpec(url="https://example.com", payload="x" * 10_000)
    assert words(curl_command(attempt(), long))[-1] == "@body.json"


def test_a_get_carries_no_body() -> None:
    assert "--data-binary" not in words(curl_command(attempt("GET"), None))


def test_nothing_sent_makes_no_command() -> None:
    assert curl_command(attempt(None), None) is None
