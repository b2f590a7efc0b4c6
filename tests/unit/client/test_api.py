import re
from typing import Any

import pytest
import requests

from webhookcron.client.api import MAX_TRIES, ApiClient
from webhookcron.client.errors import ApiRefused, ApiUnreachable, NotSignedIn

OK = (200, {"id": "1"})
AWAY = (503, {"code": 503, "message": "MongoDB is away", "errors": {}})


def test_it_sends_the_key_and_reads_the_object(api: ApiClient, script: Any) -> None:
    script.answers = [OK]

    assert api.get("/api/cron/1", {"a": "b c"}) == {"id": "1"}

    assert script.requests[0].url == "http://api.test/api/cron/1?a=b+c"
    assert script.requests[0].headers["Authorization"] == "Bearer whk_k"


def test_a_netrc_entry_does_not_take_the_place_of_the_key(
    api: ApiClient, script: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine api.test login other password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    script.answers = [OK]

    api.get("/api/cron/1")

    assert script.requests[0].headers["Authorization"] == "Bearer whk_k"


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_it_waits_and_tries_again_when_the_platform_is_away(
    api: ApiClient, script: Any, slept: list[float], status: int
) -> None:
    script.answers = [(status, AWAY[1]), AWAY, OK]

    assert api.get("/api/cron/1") == {"id": "1"}

    assert len(slept) == 2
    assert 0.5 <= slept[0] <= 0.6
    assert 1.0 <= slept[1] <= 1.2


def test_it_waits_as_long_as_it_is_asked_to(api: ApiClient, script: Any, slept: list[float]) -> None:
    script.answers = [(429, AWAY[1], {"Retry-After": "7"}), OK]

    api.get("/api/cron/1")

    assert 7.0 <= slept[0] <= 8.4


def test_it_does_not_wait_for_minutes(api: ApiClient, script: Any, slept: list[float]) -> None:
    script.answers = [(429, {**AWAY[1], "message": "too many sign-ins"}, {"Retry-After": "600"})]

    with pytest.raises(ApiRefused, match="too many sign-ins"):
        api.get("/api/cron/1")
    assert slept == []


def test_it_gives_up_in_the_end_and_tells_why(api: ApiClient, script: Any, slept: list[float]) -> None:
    script.answers = [AWAY] * MAX_TRIES

    with pytest.raises(ApiRefused, match="MongoDB is away"):
        api.get("/api/cron/1")
    assert len(slept) == MAX_TRIES - 1


def test_a_repeated_post_carries_the_same_idempotency_key(api: ApiClient, script: Any) -> None:
    script.answers = [requests.ConnectionError("reset"), OK]

    api.post("/api/cron", {"name": "x"})

    first, second = (request.headers["Idempotency-Key"] for request in script.requests)
    assert first == second


def test_two_posts_are_two_requests(api: ApiClient, script: Any) -> None:
    script.answers = [OK, OK]

    api.post("/api/cron", {})
    api.post("/api/cron", {})

    first, second = (request.headers["Idempotency-Key"] for request in script.requests)
    assert first != second


def test_a_refused_connection_says_what_to_do(api: ApiClient, script: Any) -> None:
    script.answers = [requests.ConnectionError(ConnectionRefusedError(111, "Connection refused"))] * MAX_TRIES

    with pytest.raises(ApiUnreachable, match=r"Connection refused\. Is the platform running .*--api-url"):
        api.get("/health")


def test_a_wrong_key_says_where_the_right_one_is(api: ApiClient, script: Any) -> None:
    script.answers = [(401, {"code": 401, "message": "an API key is needed", "errors": {}})]

    with pytest.raises(NotSignedIn, match="WEBHOOKCRON_API_KEY"):
        api.get("/api/cron")


def test_a_refusal_tells_every_field(api: ApiClient, script: Any) -> None:
    errors = {"json": {"timezone": ["is unknown"], "auth": {"token": ["is needed"]}}}
    script.answers = [(422, {"code": 422, "message": "not valid", "errors": errors})]

    with pytest.raises(ApiRefused) as caught:
        api.post("/api/cron", {})

    assert str(caught.value) == "not valid; timezone: is unknown; auth.token: is needed"
    assert caught.value.status == 422


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((302, b"", {"Location": "https://other.test/"}), "redirects to https://other.test/"),
        ((404, b"<html>not here</html>"), "not as this API does"),
        ((200, b"<html>welcome</html>"), "is this the URL of the API"),
        ((200, ["a list"]), "is this the URL of the API"),
    ],
)
def test_what_is_no_answer_of_the_api_is_told(api: ApiClient, script: Any, answer: Any, message: str) -> None:
    script.answers = [answer]

    with pytest.raises(ApiUnreachable, match=message):
        api.get("/api/cron")


def test_it_reads_every_page_and_tells_how_far_it_is(api: ApiClient, script: Any) -> None:
    script.answers = [
        (200, {"items": [{"id": "a"}, {"id": "b"}], "total": 3}),
        (200, {"items": [{"id": "c"}], "total": 3}),
    ]
    seen: list[tuple[int, int]] = []

    items = list(api.pages("/api/cron", {"sort": "name"}, progress=lambda *step: seen.append(step)))

    assert [item["id"] for item in items] == ["a", "b", "c"]
    assert seen == [(2, 3), (3, 3)]
    assert "page=2" in script.requests[1].url


def test_the_moment_is_that_of_the_platform(api: ApiClient, script: Any) -> None:
    script.answers = [(200, {}, {"Date": "Thu, 31 Jan 2030 09:00:00 GMT"})]

    api.get("/health")

    assert api.now().isoformat().startswith("2030-01-31T09:00:0")


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (
            "[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1006)",
            "not in TLS: is it http:// there?",
        ),
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_ssl.c:1006)",
            "the certificate of http://api.test is not trusted: certificate has expired",
        ),
    ],
)
def test_a_connection_that_cannot_be_trusted_says_why_and_is_not_tried_again(
    api: ApiClient, script: Any, reason: str, told: str
) -> None:
    script.answers = [requests.exceptions.SSLError(reason)]

    with pytest.raises(ApiUnreachable, match=re.escape(told)):
        api.get("/api/cron/1")


def test_a_handshake_that_broke_off_is_tried_again(api: ApiClient, script: Any) -> None:
    script.answers = [requests.exceptions.SSLError("[SSL: UNEXPECTED_EOF_WHILE_READING] EOF"), OK]

    assert api.get("/api/cron/1") == {"id": "1"}


def test_a_refusal_names_its_fields_and_does_not_point_at_a_place_that_people_do_not_see(
    api: ApiClient, script: Any
) -> None:
    errors = {"json": {"webhookUrl": ["is needed"]}}
    message = "the request is not valid; errors says where"
    script.answers = [(422, {"code": 422, "message": message, "errors": errors})]

    with pytest.raises(ApiRefused) as refused:
        api.post("/api/cron", {})
    assert str(refused.value) == "the request is not valid; webhookUrl: is needed"
