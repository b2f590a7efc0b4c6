"""Which headers a job may set, and how they are shown."""

from __future__ import annotations

import pytest

from webhookcron.core.headers import check_headers, redacted, secret_names


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Api-Key": "secret", "Accept": "text/plain; q=0.5"},
        {"User-Agent": "mine", "Content-Type": "text/plain", "Authorization": "Basic x", "Cookie": "a=b"},
        {"x!#$%&'*+-.^_`|~9": ""},
        {"X-Tab": "a\tb"},
        {"X-Latin": "grün"},
        {"Webhook-Other": "1"},
        {f"X-{number}": "" for number in range(50)},
    ],
)
def test_ordinary_headers_pass(headers: dict[str, str]) -> None:
    check_headers(headers)


@pytest.mark.parametrize(
    "name",
    [
        "Host",
        "Content-Length",
        "transfer-encoding",
        "Connection",
        "KEEP-ALIVE",
        "TE",
        "Trailer",
        "Upgrade",
        "Expect",
        "HTTP2-Settings",
        "Proxy-Authorization",
        "Proxy-Connection",
        "webhook-id",
        "Webhook-Timestamp",
        "WEBHOOK-SIGNATURE",
        "X-Webhookcron-Job-Id",
        "x-webhookcron-anything",
    ],
)
def test_reserved_headers_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="set by the platform"):
        check_headers({name: "x"})


@pytest.mark.parametrize("name", ["", " X", "X ", "X:", "X Y", "X\r\nY", "Ü", "X\0", "(x)", ":path"])
def test_what_is_no_token_is_refused_as_a_name(name: str) -> None:
    with pytest.raises(ValueError, match="not a header name"):
        check_headers({name: "x"})


@pytest.mark.parametrize("value", ["a\r\nX: b", "a\nb", "a\rb", "a\0b", "a\x7fb", "a\x85b", "€", "a\n"])
def test_values_that_could_break_out_are_refused_and_not_repeated(value: str) -> None:
    with pytest.raises(ValueError, match="line break") as caught:
        check_headers({"X-A": value})
    assert repr(value) not in str(caught.value)


def test_the_same_name_in_another_case_is_refused() -> None:
    with pytest.raises(ValueError, match="more than once"):
        check_headers({"X-A": "1", "x-a": "2"})


def test_fifty_one_headers_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 50"):
        check_headers({f"X-{number}": "" for number in range(51)})


@pytest.mark.parametrize(("length", "fits"), [(16 * 1024 - 7, True), (16 * 1024 - 6, False)])
def test_the_headers_have_at_most_sixteen_kib(length: int, fits: bool) -> None:
    if fits:
        check_headers({"X-A": "v" * length})
    else:
        with pytest.raises(ValueError, match="16384"):
            check_headers({"X-A": "v" * length})


def test_named_and_always_secret_headers_are_hidden() -> None:
    headers = (("X-Key", "k"), ("authorization", "a"), ("COOKIE", "c"), ("X-Other", "o"))
    assert redacted(headers, secret_names(["x-KEY"])) == (
        ("X-Key", "[redacted]"),
        ("authorization", "[redacted]"),
        ("COOKIE", "[redacted]"),
        ("X-Other", "o"),
    )
