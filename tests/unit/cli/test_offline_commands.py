"""The commands that need no platform."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from webhookcron.cli import main
from webhookcron.cli.errors import WrongSetting
from webhookcron.cli.job_fields import delay_ms_of, interval_of, job_fields
from webhookcron.cli.stats import statistics


def run(*arguments: str, stdin: str | None = None, **environ: str) -> Result:
    return CliRunner().invoke(main, arguments, input=stdin, env=environ, prog_name="webhookcron")


SUBCOMMANDS = [(group, name) for group in ("jobs", "import") for name in main.commands[group].commands]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("group", "name"), SUBCOMMANDS)
def test_every_subcommand_explains_itself_its_options_and_its_exit_codes(group: str, name: str) -> None:
    command = main.commands[group].commands[name]  # type: ignore[attr-defined]

    assert run(group, name, "--help").exit_code == 0
    assert all(getattr(parameter, "help", None) for parameter in command.params)
    assert "Exit codes:" in command.help


def test_next_shows_fire_times_in_zone_and_utc_and_warns_of_clock_changes() -> None:
    result = run(
        "next", "30 2 * * *", "--tz", "Europe/Berlin", "--from", "2030-03-29T12:00:00Z", "--count", "3"
    )

    lines = [line.rstrip() for line in result.stdout.splitlines()]
    assert result.exit_code == 0
    assert lines[0] == "At 02:30, Europe/Berlin time."
    assert [line.split("  ")[1] for line in lines[2:5]] == [
        "2030-03-30 02:30:00+01:00",
        "2030-03-31 03:00:00+02:00",
        "2030-04-01 02:30:00+02:00",
    ]
    assert [line.split("Z")[1].strip() for line in lines[2:5]] == ["", "23 h 30 min", "23 h 30 min"]
    assert "clocks in Europe/Berlin go forward" in lines[5]


def test_next_speaks_json() -> None:
    result = run("next", "@daily", "--from", "2030-01-01T00:00:00Z", "--count", "2", "--json")

    found = json.loads(result.stdout)
    assert [fire_time["utc"] for fire_time in found["fireTimes"]] == [
        "2030-01-02T00:00:00Z",
        "2030-01-03T00:00:00Z",
    ]
    assert found["clockChanges"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["* * *"], "this one has 3"),
        (["0 0 31 2 *"], "can never fire"),
        (["@daily", "--tz", "Berlin"], "Did you mean Europe/Berlin?"),
        (["@daily", "--from", "tomorrow"], "must be a moment with its offset"),
        (["@daily", "--from", "2030-01-01"], "must be a moment with its offset"),
    ],
)
def test_next_tells_mistakes_in_one_line(arguments: list[str], message: str) -> None:
    result = run("next", *arguments)

    assert result.exit_code == 2
    assert re.fullmatch(r"error: [^\n]+\n", result.stderr)
    assert message in result.stderr


def test_a_mistyped_command_is_answered_by_the_one_meant() -> None:
    result = run("aply", "-f", "x")

    assert result.exit_code == 2
    assert re.search("Did you mean .*'apply'", result.stderr)


def test_the_schema_is_printed_as_json() -> None:
    result = run("schema")

    assert json.loads(result.stdout)["title"] == "webhookcron jobs"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_printed(shell: str) -> None:
    result = run("completion", shell)

    assert result.exit_code == 0
    assert "_WEBHOOKCRON_COMPLETE" in result.stdout


def test_the_completion_knows_commands() -> None:
    result = run(_WEBHOOKCRON_COMPLETE="bash_complete", COMP_WORDS="webhookcron jobs r", COMP_CWORD="2")

    assert {"plain,resume", "plain,rotate-secret"} <= set(result.stdout.split())


def test_a_crontab_from_standard_input_becomes_a_file() -> None:
    crontab = "0 1 * * * curl https://a.example/x\n0 2 * * * backup\n"

    result = run("import", "crontab", "-", "--timezone", "UTC", stdin=crontab)

    assert result.exit_code == 0
    assert "# Not imported, line 2: it runs backup, not curl or wget" in result.stdout
    assert "webhookUrl: https://a.example/x" in result.stdout
    assert "1 line imported, 1 not." in result.stderr


def test_a_crontab_without_webhooks_ends_with_1() -> None:
    assert run("import", "crontab", "-", stdin="0 2 * * * backup\n").exit_code == 1


def test_the_import_speaks_json() -> None:
    result = run(
        "import", "crontab", "-", "--json", "--timezone", "UTC", stdin="0 1 * * * curl https://a.example/\n"
    )

    [job] = json.loads(result.stdout)["jobs"]
    assert (job["line"], job["key"], job["timezone"]) == (1, "a-example", "UTC")


def test_a_curl_command_becomes_a_file_and_its_secret_a_variable(tmp_path: Path) -> None:
    output = tmp_path / "job.yaml"

    command = "curl -u me:s3cret https://a.example/x"
    result = run("import", "curl", command, "--cron", "@hourly", "--name", "Pull", "-o", str(output))

    assert result.exit_code == 0
    assert "export PULL_PASSWORD=…" in result.stderr
    assert "s3cret" not in result.output + output.read_text()
    assert "${env:PULL_PASSWORD}" in output.read_text()


def test_a_curl_command_may_come_without_quotes() -> None:
    result = run("import", "curl", "--json", "--", "-d", "a b", "https://a.example/")

    assert json.loads(result.stdout)["jobs"][0]["payload"] == "a b"


def test_a_curl_command_that_cannot_be_a_job_says_why() -> None:
    result = run("import", "curl", "curl -k https://a.example/")

    assert result.exit_code == 1
    assert result.stderr == (
        "error: the command cannot become a job: it does not check certificates (-k), which a job always does\n"
    )


def test_files_are_simulated_without_a_platform_or_secrets(tmp_path: Path) -> None:
    jobs = "".join(
        f'  - {{key: j{n}, name: J, cronExpression: "0 * * * *", webhookUrl: "https://${{env:HOST_X}}/",'
        ' auth: {type: bearer, token: "${env:NOT_SET}"}}\n'
        for n in range(10)
    )
    (tmp_path / "jobs.yaml").write_text(f"jobs:\n{jobs}")
    options = ["--from", "2030-01-01T00:00:00Z", "--to", "2030-01-01T02:00:00Z"]

    found = json.loads(run("simulate", "-f", str(tmp_path), *options, "--json", HOST_X="a.example").stdout)
    text = run("simulate", "-f", str(tmp_path), *options, HOST_X="a.example").stdout

    assert (found["executions"], found["peakPerMinute"], found["atFullHour"]) == (20, 10, 20)
    assert [host["host"] for host in found["hosts"]] == ["a.example"]
    assert found["peakPerMinuteWithSuggestions"] < 10
    assert found["perMinute"][0] == {"minute": "2030-01-01T00:00:00Z", "executions": 10}
    assert "20 executions of 10 jobs" in text
    assert "up to 10 jobs at once" in text


def test_an_unreachable_platform_is_one_line_that_says_what_to_do(unused_url: str) -> None:
    result = run("jobs", "list", "--api-url", unused_url, "--timeout", "1")

    assert result.exit_code == 1
    assert re.fullmatch(r"error: cannot reach [^\n]+`webhookcron up`[^\n]+\n", result.stderr)


@pytest.fixture
def unused_url(monkeypatch: pytest.MonkeyPatch) -> str:
    """A URL at which nothing listens: port 1 of loopback."""
    monkeypatch.setattr("webhookcron.client.api.FIRST_PAUSE_SECONDS", 0.0)
    return "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("text", "interval"),
    [
        ("5 minutes", ("minute", 5)),
        ("90s", ("second", 90)),
        ("month", ("month", 1)),
        ("2 Weeks", ("week", 2)),
        ("1min", ("minute", 1)),
    ],
)
def test_intervals_are_read_as_people_write_them(text: str, interval: tuple[str, int]) -> None:
    assert interval_of(text) == interval


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("500ms", 500),
        ("30s", 30_000),
        ("2h", 7_200_000),
        ("1 d", 86_400_000),
        ("1 second", 1_000),
        ("10 mins", 600_000),
        ("10m", 600_000),
        ("2 Weeks", 1_209_600_000),
    ],
)
def test_delays_are_read_as_people_write_them(text: str, milliseconds: int) -> None:
    assert delay_ms_of(text) == milliseconds


@pytest.mark.parametrize(
    "options",
    [
        {"every": "now and then"},
        {"delay": "soon"},
        {"payload": "{"},
        {"headers": ("no colon",)},
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(WrongSetting):
        job_fields(options)


def test_options_become_the_fields_of_a_job() -> None:
    fields = job_fields(
        {
            "name": "A",
            "url": "https://a.example",
            "every": "5 minutes",
            "payload": '{"a": 1}',
            "headers": ("X-A: b: c",),
            "paused": True,
        }
    )

    assert fields == {
        "name": "A",
        "webhookUrl": "https://a.example",
        "interval": "minute",
        "intervalValue": 5,
        "payload": {"a": 1},
        "headers": {"X-A": "b: c"},
        "isActive": False,
    }


def job(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": str(number), "key": None, "name": f"job {number}", "status": "active", "consecutiveFailures": 0,
        "lastStatus": None, "lastRunAt": None, "nextRunAt": None, "totalRuns": 0, "successfulRuns": 0, "failedRuns": 0,
        **fields,
    }  # fmt: skip


def test_statistics_count_rate_and_list_trouble() -> None:
    found = statistics(
        [
            job(1, totalRuns=9, successfulRuns=9),
            job(2, totalRuns=3, successfulRuns=0, failedRuns=3, consecutiveFailures=3),
            job(3, status="disabled", nextRunAt="2030-01-01T00:00:00.000Z"),
        ]
    )

    assert (found["jobs"], found["totalRuns"], found["successRate"]) == (3, 12, 0.75)
    assert found["byStatus"] == {"active": 2, "disabled": 1}
    assert [trouble["id"] for trouble in found["inTrouble"]] == ["2", "3"]
    assert [upcoming["id"] for upcoming in found["next"]] == ["3"]


def test_statistics_of_nothing_have_no_rate() -> None:
    assert statistics([])["successRate"] is None
