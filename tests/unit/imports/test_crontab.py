"""A crontab as one finds it: thirty lines, some of which call webhooks."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from webhookcron.imports.crontab import CrontabImport, import_crontab
from webhookcron.manifests.definitions import desired_job
from webhookcron.manifests.export import entries_text
from webhookcron.manifests.files import read_entries

TEXT = (Path(__file__).parent / "data" / "crontab.txt").read_text()


@pytest.fixture(scope="module")
def imported() -> CrontabImport:
    return import_crontab(TEXT, timezone="Europe/Berlin")


def job_of(imported: CrontabImport, line: int) -> dict[str, Any]:
    return imported.jobs[imported.lines.index(line)]


def test_each_line_becomes_a_job_or_has_a_reason(imported: CrontabImport) -> None:
    lines = TEXT.splitlines()
    schedules = {
        number
        for number, line in enumerate(lines, 1)
        if (line[:1] in "0123456789*@" and line) or "#0 5" in line
    }

    assert len(lines) == 30
    assert {*imported.lines} | {remark.line for remark in imported.not_importable} == schedules
    assert imported.lines == [9, 11, 12, 13, 14, 16, 29, 30]


def test_lines_that_are_no_webhook_calls_say_why(imported: CrontabImport) -> None:
    assert {remark.line: remark.message for remark in imported.not_importable} == {
        17: "it is commented out",
        18: "it runs when the machine starts (@reboot), which is no schedule",
        19: "it hands the response to another command (|)",
        20: "it runs more than one command",
        21: "it does not check certificates (-k), which a job always does",
        22: "it uploads a form with parts (-F)",
        23: "its body is in the file /etc/body.json",
        24: "it hands the response to another command (|)",
        25: "it keeps the response in a file",
        26: "its schedule is not one that crontab(5) describes",
        27: "it computes something in $(…)",
        28: "it has standard input: an unescaped % (crontab(5))",
    }


def test_the_environment_is_used_or_reported(imported: CrontabImport) -> None:
    notes = {remark.line: remark.message for remark in imported.notes}

    assert "output was mailed to ops@example.com" in notes[4]
    assert {2, 3} <= notes.keys()
    assert "its output went to /var/log/shop.log" in notes[13]


def test_a_report_with_token_and_body(imported: CrontabImport) -> None:
    assert job_of(imported, 11) == {
        "key": "nightly-report",
        "name": "Nightly report",
        "cronExpression": "30 2 * * *",
        "timezone": "Europe/Berlin",
        "webhookUrl": "https://api.example.com/v2/reports",
        "payload": {"report": "nightly"},
        "auth": {"type": "bearer", "token": "${env:API_TOKEN}"},
    }


def test_limits_and_locks_become_policies(imported: CrontabImport) -> None:
    assert job_of(imported, 9).items() >= {"method": "GET", "timeoutMs": 10_000, "maxRetries": 5}.items()
    assert (
        job_of(imported, 14).items()
        >= {"overlapPolicy": "skip", "timeoutMs": 120_000, "followRedirects": True}.items()
    )


def test_cron_tz_holds_for_the_lines_below_it(imported: CrontabImport) -> None:
    assert [job["timezone"] for job in imported.jobs] == ["Europe/Berlin"] * 5 + ["America/New_York"] * 3


def test_an_escaped_percent_sign_is_one(imported: CrontabImport) -> None:
    assert job_of(imported, 29)["webhookUrl"] == "https://example.com/json?part=100%"


def test_no_secret_gets_into_the_jobs(imported: CrontabImport) -> None:
    assert "s3cret" not in str(imported.jobs)
    assert imported.variables == {
        "API_TOKEN": "the variable API_TOKEN of the command in line 11",
        "LINE_12_PASSWORD": "the password of the command in line 12",
    }


def test_the_file_made_of_it_passes_the_platforms_rules(imported: CrontabImport, tmp_path: Path) -> None:
    file = tmp_path / "jobs.yaml"
    file.write_text(entries_text(imported.jobs))
    now = datetime(2030, 1, 1, tzinfo=UTC)
    environ = dict.fromkeys(imported.variables, "x")

    for entry in read_entries([str(file)]):
        desired_job(entry, None, environ=environ, default_timezone="UTC", now=now)


def test_a_system_crontab_has_a_user_before_the_command() -> None:
    text = "17 * * * * root curl https://example.com/\n18 * * * * curl\n"

    imported = import_crontab(text, timezone="UTC", system=True)

    assert [job["webhookUrl"] for job in imported.jobs] == ["https://example.com/"]
    assert imported.not_importable[0].message == "it is no line of a crontab with a user"


def test_equal_names_get_keys_of_their_own() -> None:
    imported = import_crontab(
        "0 1 * * * curl https://a.example/\n0 2 * * * curl https://a.example/\n", timezone="UTC"
    )

    assert [job["key"] for job in imported.jobs] == ["a-example", "a-example-2"]


def test_an_unknown_cron_tz_is_reported() -> None:
    imported = import_crontab("CRON_TZ=Mars/Base\n0 1 * * * curl https://a.example/\n", timezone="UTC")

    assert "'Mars/Base' is unknown" in imported.notes[0].message
    assert imported.jobs[0]["timezone"] == "UTC"


def test_an_unknown_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="Europe/Berlin"):
        import_crontab("", timezone="Berlin")


def test_a_line_that_names_a_user_points_at_the_option_for_such_files() -> None:
    found = import_crontab(
        "0 1 * * * root curl https://example.com/a\n0 2 * * * root /bin/backup\n", timezone="UTC"
    )

    assert [remark.message for remark in found.not_importable] == [
        "it runs root, not curl or wget; if root is a user, as in /etc/crontab, import with --system",
        "it runs root, not curl or wget",
    ]
