"""Where a redirect leads, and what goes along."""

from __future__ import annotations

import pytest

from webhookcron.core.outcomes import Failure, FailureKind
from webhookcron.delivery.transport_redirects import MAX_REDIRECTS, next_hop
from webhookcron.delivery.transport_types import HttpRequest

REQUEST = HttpRequest(
    method="POST",
    url="https://example.com/a/b?c=d",
    headers=(
        ("Content-Type", "application/json"),
        ("Authorization", "Bearer t"),
        ("Cookie", "a=b"),
        ("X-Key", "k"),
        ("X-Plain", "p"),
        ("webhook-id", "e"),
        ("webhook-signature", "v1,x"),
    ),
    body=b"{}",
    timeout_ms=1000,
    follow_redirects=True,
    confidential=frozenset({"x-key"}),
)


def _hop(
    status: int = 307, location: str | None = "/next", *, method: str = "POST", followed: int = 0
) -> HttpRequest:
    request = HttpRequest(
        method=method,
        url=REQUEST.url,
        headers=REQUEST.headers,
        body=None if method in ("GET", "HEAD") else REQUEST.body,
        timeout_ms=1000,
        confidential=REQUEST.confidential,
    )
    following = next_hop(request, status, location, followed)
    assert isinstance(following, HttpRequest)
    return following


def _refusal(location: str | None, followed: int = 0) -> Failure:
    failure = next_hop(REQUEST, 307, location, followed)
    assert isinstance(failure, Failure)
    return failure


@pytest.mark.parametrize(
    ("status", "method", "expected"),
    [
        (301, "POST", "GET"),
        (302, "POST", "GET"),
        (303, "POST", "GET"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
        (301, "PUT", "PUT"),
        (302, "DELETE", "DELETE"),
        (303, "PUT", "GET"),
        (303, "DELETE", "GET"),
        (303, "HEAD", "HEAD"),
        (302, "GET", "GET"),
        (307, "HEAD", "HEAD"),
    ],
)
def test_the_method_changes_as_rfc_9110_has_it(status: int, method: str, expected: str) -> None:
    following = _hop(status, method=method)
    assert following.method == expected
    if expected == "GET":
        assert following.body is None
    elif method not in ("GET", "HEAD"):
        assert following.body == b"{}"


def test_with_the_body_goes_what_describes_it() -> None:
    names = [name for name, _ in _hop(303).headers]
    assert "Content-Type" not in names
    assert "X-Plain" in names


def test_without_its_body_a_request_is_not_signed_any_more() -> None:
    assert "webhook-signature" not in [name for name, _ in _hop(303).headers]
    assert "webhook-signature" in [name for name, _ in _hop(303, method="GET").headers], "there was no body"


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/next", "https://example.com/next"),
        ("next", "https://example.com/a/next"),
        ("?x=1", "https://example.com/a/b?x=1"),
        ("//other.example/x", "https://other.example/x"),
        ("http://other.example", "http://other.example/"),
        ("/gr\u00c3\u00bcn", "https://example.com/gr%C3%BCn"),
    ],
)
def test_a_location_is_relative_to_the_url(location: str, url: str) -> None:
    assert _hop(location=location).url == url


@pytest.mark.parametrize(
    "location", ["https://other.example/", "http://example.com/a", "https://example.com:8443/a"]
)
def test_another_origin_sees_no_credentials(location: str) -> None:
    names = [name for name, _ in _hop(location=location).headers]
    assert names == ["Content-Type", "X-Plain", "webhook-id"]


def test_the_same_origin_sees_them_again() -> None:
    assert _hop(location="https://EXAMPLE.com:443/x").headers == REQUEST.headers


def test_the_deadline_and_the_limits_stay() -> None:
    following = _hop()
    assert following.timeout_ms == REQUEST.timeout_ms
    assert following.confidential == REQUEST.confidential


@pytest.mark.parametrize(
    "location",
    [
        None,
        "",
        "ftp://example.com/",
        "file:///etc/passwd",
        "http://a:b@example.com/",
        "http://[::1",
        "http://a b/",
    ],
)
def test_a_location_that_cannot_be_called_is_a_failure(location: str | None) -> None:
    assert _refusal(location).kind is FailureKind.REDIRECT


def test_five_redirects_are_followed_and_a_sixth_is_not() -> None:
    assert _hop(followed=MAX_REDIRECTS - 1).url == "https://example.com/next"
    assert "more than 5" in _refusal("/next", followed=MAX_REDIRECTS).message
