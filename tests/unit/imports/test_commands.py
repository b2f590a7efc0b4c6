import json
from typing import Any

import pytest

from webhookcron.imports.commands import import_command
from webhookcron.imports.errors import NotImportable

URL = "https://example.com/hook"


def fields_of(command: str, **variables: str) -> dict[str, Any]:
    return import_command(command, variables=variables).fields


@pytest.mark.parametrize(
    ("command", "fields"),
    [
        (f"curl {URL}", {"webhookUrl": URL, "method": "GET"}),
        ("curl example.com", {"webhookUrl": "http://example.com", "method": "GET"}),
        (f"curl -I {URL}", {"webhookUrl": URL, "method": "HEAD"}),
        (f"curl -XDELETE --url {URL}", {"webhookUrl": URL, "method": "DELETE"}),
        (
            f"curl -sSfd a=1 {URL}",
            {"webhookUrl": URL, "payload": "a=1", "contentType": "application/x-www-form-urlencoded"},
        ),
        (
            f"curl -d a=1 -d b=2 -H 'content-type: text/plain' {URL}",
            {"webhookUrl": URL, "payload": "a=1&b=2", "contentType": "text/plain"},
        ),
        (
            f"curl --json '{{\"a\":1}}' {URL}",
            {"webhookUrl": URL, "headers": {"Accept": "application/json"}, "payload": {"a": 1}},
        ),
        (
            f"curl -H 'Content-Type: application/json; charset=utf-8' --data-raw '[1]' {URL}",
            {"webhookUrl": URL, "payload": [1], "contentType": "application/json; charset=utf-8"},
        ),
        (f"curl -G -d a=1 {URL}?b=2", {"webhookUrl": f"{URL}?b=2&a=1", "method": "GET"}),
        (
            f"curl -H 'X-Team: billing' -H 'X-Team: crm' -A agent/1 {URL}",
            {"webhookUrl": URL, "method": "GET", "headers": {"X-Team": "crm", "User-Agent": "agent/1"}},
        ),
        (
            f"curl -L --max-time 2.5 --retry 2 --retry-delay 3 {URL}",
            {
                "webhookUrl": URL,
                "method": "GET",
                "timeoutMs": 2500,
                "maxRetries": 2,
                "retryDelaysMs": [3000],
                "followRedirects": True,
            },
        ),
        (
            f"curl --data-urlencode 'q=a b&c' --data-urlencode '=x y' {URL}",
            {
                "webhookUrl": URL,
                "payload": "q=a+b%26c&x+y",
                "contentType": "application/x-www-form-urlencoded",
            },
        ),
        (
            f"wget -q -O /dev/null --post-data=x --header='Content-Type: text/plain' {URL}",
            {"webhookUrl": URL, "payload": "x", "contentType": "text/plain", "followRedirects": True},
        ),
        (
            f"wget -nv --spider -T 9 -t 3 {URL}",
            {
                "webhookUrl": URL,
                "method": "HEAD",
                "timeoutMs": 9000,
                "maxRetries": 2,
                "followRedirects": True,
            },
        ),
        (f"nice -n 10 /usr/bin/curl {URL} &", {"webhookUrl": URL, "method": "GET"}),
    ],
)
def test_a_command_becomes_the_fields_of_a_job(command: str, fields: dict[str, Any]) -> None:
    assert fields_of(command) == fields


@pytest.mark.parametrize(
    ("options", "variable", "fields"),
    [
        ("-u me:s3cret", "JOB_PASSWORD", {"auth": {"type": "basic", "username": "me", "password": "{}"}}),
        ("-H 'authorization: Bearer s3cret'", "JOB_TOKEN", {"auth": {"type": "bearer", "token": "{}"}}),
        ("--oauth2-bearer s3cret", "JOB_TOKEN", {"auth": {"type": "bearer", "token": "{}"}}),
        ("-H 'Authorization: Digest s3cret'", "JOB_AUTHORIZATION", {"headers": {"Authorization": "{}"}}),
        (
            "-H 'X-Api-Key: s3cret'",
            "JOB_X_API_KEY",
            {"headers": {"X-Api-Key": "{}"}, "secretHeaders": ["X-Api-Key"]},
        ),
        ("-b 'sid=s3cret'", "JOB_COOKIE", {"headers": {"Cookie": "{}"}}),
    ],
)
def test_secrets_become_references(options: str, variable: str, fields: dict[str, Any]) -> None:
    imported = import_command(f"curl {options} {URL}")

    wanted = json.loads(json.dumps(fields).replace("{}", f"${{env:{variable}}}"))
    assert imported.fields.items() >= wanted.items()
    assert list(imported.variables) == [variable]


def test_credentials_in_the_url_become_auth() -> None:
    fields = fields_of("curl https://me:s3%40cret@example.com/hook")

    assert fields["webhookUrl"] == "https://example.com/hook"
    assert fields["auth"]["username"] == "me"
    assert "cret" not in str(fields["auth"]["password"])


def test_variables_are_their_value_or_a_reference() -> None:
    fields = fields_of("curl \"$BASE/hook?k=${KEY}\" -d '$BASE'", BASE="https://example.com", KEY="s3cret")

    assert fields["webhookUrl"] == "https://example.com/hook?k=${env:KEY}"
    # Nothing is replaced inside of single quotes, nor in the file that is made of it.
    assert fields["payload"] == "$BASE"


def test_a_text_that_looks_like_a_reference_stays_a_text() -> None:
    assert fields_of(f"curl -d 'a=${{env:HOME}}' {URL}")["payload"] == "a=$${env:HOME}"


@pytest.mark.parametrize(
    "before",
    ["sudo", "sudo -u www-data", "sudo -nHuwww-data", "sudo -nu www-data --", "sudo --user=www-data -g adm",
     "sudo --user www-data", "chronic", "nohup", "exec", "/usr/bin/sudo -n timeout 30 nice -n 5"],
)  # fmt: skip
def test_who_makes_a_call_and_beside_what_means_nothing_to_a_job(before: str) -> None:
    fields = fields_of(f"{before} curl {URL}")

    assert {**fields, "timeoutMs": None} == {"webhookUrl": URL, "method": "GET", "timeoutMs": None}


def test_headers_that_belong_to_the_connection_of_a_browser_are_left_out() -> None:
    command = (
        f"curl {URL} -H 'Host: example.com' -H 'Connection: keep-alive' -H 'Content-Length: 7' -H 'TE: trailers' "
        "-H 'X-Team: crm' -H 'Content-Type: application/json' --data-raw '{\"a\":1}'"
    )

    assert fields_of(command) == {"webhookUrl": URL, "headers": {"X-Team": "crm"}, "payload": {"a": 1}}


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (f"curl -k {URL}", "certificates"),
        (f"curl --insecure {URL}", "certificates"),
        (f"wget -qO- --no-check-certificate {URL}", "certificates"),
        (f"curl -x http://proxy {URL}", "proxy"),
        (f"curl -d @body {URL}", "the file body"),
        (f"curl -d @- {URL}", "standard input"),
        (f"curl -o page.html {URL}", "the file page.html"),
        (f"curl -O {URL}", "a file"),
        (f"wget {URL}", "a file"),
        (f"curl {URL} {URL}", "several URLs"),
        (f"curl {URL}/[1-9]", "several URLs"),
        ("curl -s", "names no URL"),
        (f"curl --frobnicate {URL}", "--frobnicate is not known"),
        (f"curl -X TRACE {URL}", "method TRACE"),
        (f"curl -H 'Content-Type: application/json' -d '{{' {URL}", "not the JSON"),
        (f"curl -H 'Host: other' {URL}", "set by the platform"),
        (f"curl -m soon {URL}", "no number"),
        (f"curl {URL} -H", "has no value"),
        (f"curl {URL} | jq .", "another command"),
        (f"curl {URL} && curl {URL}", "more than one command"),
        (f"curl {URL} || mail root", "more than one command"),
        (f'curl -d "$(date)" {URL}', r"\$\(…\)"),
        (f"curl -d `date` {URL}", "`…`"),
        (f'curl -d "${{A:-x}}" {URL}', "changes a variable"),
        (f"curl {URL} < file", "standard input"),
        (f"curl 'open {URL}", "not closed"),
        (f"TOKEN=x curl {URL}", "sets a variable"),
        (f"http POST {URL}", "runs http"),
        (f"sudo -u www-data http POST {URL}", "runs http"),
        (f"sudo -i curl {URL}", "by a shell"),
        (f"sudo -Z curl {URL}", "-Z of its sudo"),
        ("sudo -u www-data", "runs nothing"),
        ("ftp://example.com", "not curl or wget"),
        ("curl ftp://example.com/", "ftp is not http"),
        ("", "empty"),
    ],
)
def test_what_a_job_cannot_do_is_told(command: str, reason: str) -> None:
    with pytest.raises(NotImportable, match=reason):
        import_command(command)


def test_a_request_as_browsers_copy_it() -> None:
    command = (
        "curl 'https://example.com/api' \\\n  -H 'accept: */*' \\\n  -H 'content-type: application/json' \\\n"
        '  --data-raw $\'{"text":"it\\\'s \\u00e4"}\' \\\n  --compressed'
    )

    assert fields_of(command) == {
        "webhookUrl": "https://example.com/api",
        "headers": {"accept": "*/*"},
        "payload": {"text": "it's ä"},
    }
