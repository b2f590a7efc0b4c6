"""A pasted command line fills the form."""

import pytest

from webhookcron.dashboard.curl_import import MAX_LENGTH, form_values_of_command
from webhookcron.imports.errors import NotImportable


def test_a_command_fills_the_form() -> None:
    values, notes = form_values_of_command(
        "$ curl -X PUT 'https://example.com/hook' -H 'X-Team: billing' -H 'Content-Type: application/json' "
        "-d '{\"a\": 1}' --max-time 5 --retry 2 -L"
    )
    assert values["webhook_url"] == "https://example.com/hook"
    assert values["method"] == "PUT"
    assert values["headers"] == "X-Team: billing"
    assert values["payload"] == '{\n  "a": 1\n}'
    assert (values["timeout"], values["max_retries"], values["follow_redirects"]) == ("5s", "2", "on")
    assert notes == []


def test_credentials_are_taken_over_as_they_are() -> None:
    values, _ = form_values_of_command("curl -u ann:pw https://example.com -d x=1")
    assert (values["auth_type"], values["auth_username"], values["auth_password"]) == ("basic", "ann", "pw")
    assert values["payload"] == "x=1"
    assert values["content_type"] == "application/x-www-form-urlencoded"
    values, _ = form_values_of_command('curl https://example.com -H "Authorization: Bearer abc"')
    assert (values["auth_type"], values["auth_token"]) == ("bearer", "abc")


def test_variables_of_the_shell_are_told() -> None:
    values, notes = form_values_of_command('curl https://example.com -H "Authorization: Bearer $TOKEN"')
    assert values["auth_token"] == "$TOKEN"
    assert "TOKEN" in notes[0]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("wget https://example.com", "not curl"),
        ("curl https://a.example; curl https://b.example", "more than one"),
        ("curl -k https://example.com", "certificates"),
        ("curl -d @file https://example.com", "file"),
        ("curl 'https://example.com", "."),
        ("curl " + "a" * MAX_LENGTH, "too long"),
    ],
)
def test_what_cannot_become_a_job_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(NotImportable, match=reason):
        form_values_of_command(text)
