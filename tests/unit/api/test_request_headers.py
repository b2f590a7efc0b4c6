"""If-Match and Idempotency-Key."""

import pytest
from flask import Flask
from werkzeug.exceptions import HTTPException

from webhookcron.api.request_headers import idempotency_key, if_match
from webhookcron.service.conditions import Condition

app = Flask(__name__)


@pytest.mark.parametrize(
    ("header", "condition"),
    [
        (None, Condition()),
        ("*", Condition(None, given=True)),
        ('"3"', Condition(frozenset({3}), given=True)),
        ('"3", "4"', Condition(frozenset({3, 4}), given=True)),
        ('W/"3"', Condition(frozenset(), given=True)),
        ('"abc"', Condition(frozenset(), given=True)),
        ('"99999999999999999999999"', Condition(frozenset(), given=True)),
    ],
)
def test_if_match_names_versions(header: str | None, condition: Condition) -> None:
    headers = {} if header is None else {"If-Match": header}
    with app.test_request_context(headers=headers):
        assert if_match() == condition


@pytest.mark.parametrize("header", ["3", '"3', "", '"3" "4"', "3, *"])
def test_an_if_match_that_cannot_be_read_is_refused(header: str) -> None:
    with app.test_request_context(headers={"If-Match": header}), pytest.raises(HTTPException) as refused:
        if_match()
    assert refused.value.code == 422


def test_an_idempotency_key_is_visible_text() -> None:
    with app.test_request_context(headers={"Idempotency-Key": "a-1"}):
        assert idempotency_key() == "a-1"
    with app.test_request_context():
        assert idempotency_key() is None


@pytest.mark.parametrize("header", ["", "a b", "x" * 256, "ä"])
def test_other_idempotency_keys_are_refused(header: str) -> None:
    with (
        app.test_request_context(environ_overrides={"HTTP_IDEMPOTENCY_KEY": header}),
        pytest.raises(HTTPException) as refused,
    ):
        idempotency_key()
    assert refused.value.code == 422
