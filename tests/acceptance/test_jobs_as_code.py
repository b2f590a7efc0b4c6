"""Jobs as code and the command line against a running platform."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from webhookcron.cli import main

pytestmark = pytest.mark.acceptance

Run = Callable[..., Result]

FILE = """\
defaults:
  timezone: Europe/Berlin
  tags: [code]
jobs:
  - key: code-report
    name: Weekly report
    cronExpression: "0 9 * * 1"
    webhookUrl: {url}
    payload: {{report: weekly}}
  - key: code-token
    name: With a token
    interval: hour
    intervalValue: 6
    webhookUrl: {url}
    auth: {{type: bearer, token: "${{env:CODE_TOKEN}}"}}
"""


@pytest.fixture
def environ(shared_platform: Any) -> dict[str, str]:
    """What names the platform to the command line."""
    return {
        "WEBHOOKCRON_API_URL": shared_platform.url,
        "WEBHOOKCRON_API_KEY": shared_platform.admin_key,
        "CODE_TOKEN": "s3cret",
    }


@pytest.fixture
def run(environ: dict[str, str]) -> Run:
    def call(*arguments: object, stdin: str | None = None, **more: str) -> Result:
        return CliRunner().invoke(
            main, [str(part) for part in arguments], input=stdin, env={**environ, **more}
        )

    return call


@pytest.fixture
def ok(run: Run) -> Callable[..., str]:
    """Runs a command that has to end with 0, and gives its standard output."""

    def call(*arguments: object, **more: Any) -> str:
        result = run(*arguments, **more)
        assert result.exit_code == 0, result.output
        return result.stdout

    return call


@pytest.fixture
def jobs(shared_platform: Any) -> Iterator[None]:
    """Takes away what a test leaves behind."""
    yield
    for job in shared_platform.request("GET", "/api/cron", params={"limit": "100"}).json()["items"]:
        shared_platform.request("DELETE", f"/api/cron/{job['id']}")


@pytest.fixture
def file(tmp_path: Path, receiver: Any, jobs: None) -> Path:
    path = tmp_path / "jobs.yaml"
    path.write_text(FILE.format(url=receiver.url))
    return path


def test_applying_twice_changes_nothing_the_second_time(
    file: Path, ok: Any, run: Run, shared_platform: Any
) -> None:
    assert run("diff", "-f", file).exit_code == 1
    assert "Plan: 2 to create." in ok("apply", "-f", file, "--dry-run")
    assert ok("apply", "-f", file, "--yes").endswith("Applied 2 of 2.\n")

    before = shared_platform.request("GET", "/api/cron").json()["items"]
    again = json.loads(ok("apply", "-f", file, "--yes", "--json"))

    assert (again["drift"], again["counts"]["none"], again["counts"]["sendSecrets"]) == (False, 1, 1)
    assert shared_platform.request("GET", "/api/cron").json()["items"] == before
    assert run("diff", "-f", file).exit_code == 0


def test_what_is_exported_is_applied_as_no_change(file: Path, ok: Any, tmp_path: Path) -> None:
    ok("apply", "-f", file, "--yes")
    exported = tmp_path / "exported.yaml"

    ok("export", "-o", exported)

    assert "s3cret" not in exported.read_text()
    # Without the variable that the first file needs.
    again = ok("apply", "-f", exported, "--dry-run", "--prune", CODE_TOKEN="")
    assert again == "No changes: 2 jobs are as in the files.\n"
    assert ok("diff", "-f", "-", stdin=exported.read_text()).startswith("No changes")


def test_a_changed_file_changes_the_job_and_its_next_run(
    file: Path, ok: Any, run: Run, shared_platform: Any
) -> None:
    ok("apply", "-f", file, "--yes")
    file.write_text(file.read_text().replace("0 9 * * 1", "30 9 * * MON"))

    plan = ok("apply", "-f", file, "--dry-run")
    told = re.search(r"next run moves from (\S+ \S+) 09:00 \S+ to \1 09:30 ", plan)
    assert told is not None, plan
    ok("apply", "-f", file, "--yes")

    [job] = shared_platform.request("GET", "/api/cron", params={"key": "code-report"}).json()["items"]
    assert job["cronExpression"] == "30 9 * * MON"
    assert job["nextRunAt"].startswith(told[1].split()[1])


def test_a_secret_that_changed_in_the_environment_arrives(
    file: Path, ok: Any, receiver: Any, eventually: Any
) -> None:
    ok("apply", "-f", file, "--yes")
    ok("apply", "-f", file, "--yes", CODE_TOKEN="new-s3cret")

    ok("jobs", "trigger", "code-token", "--wait")

    assert receiver.calls[0].headers["authorization"] == "Bearer new-s3cret"


def test_pruning_deletes_only_jobs_with_a_key(
    file: Path, ok: Any, shared_platform: Any, receiver: Any
) -> None:
    more = {"cronExpression": "0 0 1 1 *", "webhookUrl": receiver.url}
    shared_platform.create_job(name="by hand", **more)
    shared_platform.create_job(name="old", key="old", tags=["code"], **more)
    shared_platform.create_job(name="another team's", key="other", **more)

    ok("apply", "-f", file, "--prune", "--prune-tag", "code", "--yes")
    names = {job["name"] for job in shared_platform.request("GET", "/api/cron").json()["items"]}
    assert names == {"by hand", "another team's", "Weekly report", "With a token"}

    assert "- other  another team's" in ok("apply", "-f", file, "--prune", "--dry-run")
    ok("apply", "-f", file, "--prune", "--yes")
    names = {job["name"] for job in shared_platform.request("GET", "/api/cron").json()["items"]}
    assert names == {"by hand", "Weekly report", "With a token"}


def test_jobs_of_other_users_are_neither_compared_nor_pruned(
    file: Path, ok: Any, shared_platform: Any, receiver: Any
) -> None:
    account = {
        "email": "bob@example.com",
        "password": "a long enough password",
        "name": "Bob",
        "role": "member",
    }
    made = shared_platform.request("POST", "/api/users", json=account)
    assert made.status_code == 201, made.text
    credentials = {name: account[name] for name in ("email", "password")}
    login = shared_platform.request("POST", "/api/auth/login", json=credentials).json()
    headers = {"Authorization": f"Bearer {login['accessToken']}"}
    for key in ("code-report", "bobs-own"):
        job = {"name": "Bob's", "key": key, "cronExpression": "@daily", "webhookUrl": receiver.url}
        assert shared_platform.request("POST", "/api/cron", json=job, headers=headers).status_code == 201

    assert "Plan: 2 to create." in ok("apply", "-f", file, "--prune", "--yes")

    assert ok("apply", "-f", file, "--prune", "--dry-run").endswith(
        "1 with secrets to send again, 1 unchanged.\n"
    )
    bobs = [job for job in json.loads(ok("jobs", "list", "--json")) if job["name"] == "Bob's"]
    assert {job["key"] for job in bobs} == {"code-report", "bobs-own"}
    assert "Bob" not in ok("export")


def test_without_a_terminal_nothing_is_done_unasked(file: Path, run: Run, shared_platform: Any) -> None:
    result = run("apply", "-f", file)

    assert result.exit_code == 2
    assert "add --yes" in result.stderr
    assert shared_platform.request("GET", "/api/cron").json()["total"] == 0


def test_on_a_terminal_it_asks_and_shows_colours(
    file: Path, environ: dict[str, str], shared_platform: Any, eventually: Any
) -> None:
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "webhookcron", "apply", "-f", str(file)]
    variables = {**os.environ, **environ, "TERM": "xterm-256color", "COLUMNS": "120"}
    variables.pop("NO_COLOR", None)
    process = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, env=variables, close_fds=True
    )
    os.close(slave)
    shown = b""
    try:
        while b"Apply this?" not in shown:
            shown += os.read(master, 4096)
        assert shared_platform.request("GET", "/api/cron").json()["total"] == 0
        os.write(master, b"y\n")
        while b"Applied 2 of 2" not in shown:
            shown += os.read(master, 4096)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(master)
    assert b"\x1b[1;32m+ code-report" in shown


def test_mistakes_in_files_are_told_by_line_and_nothing_is_done(
    file: Path, run: Run, shared_platform: Any
) -> None:
    file.write_text(file.read_text().replace("0 9 * * 1", "0 9 * *").replace("payload:", "paylod:"))

    result = run("apply", "-f", file, "--yes")

    assert result.exit_code == 2
    assert (
        f"error: {file}:9: job 'code-report': paylod: is not a known field; did you mean payload?"
        in result.stderr
    )
    assert shared_platform.request("GET", "/api/cron").json()["total"] == 0


def test_a_refused_job_is_told_and_the_others_are_applied(file: Path, run: Run, shared_platform: Any) -> None:
    text = file.read_text()
    file.write_text(
        text + "  - {key: bad, name: Bad, cronExpression: '@daily', webhookUrl: 'http://169.254.169.254/'}\n"
    )

    result = run("apply", "-f", file, "--yes")

    assert result.exit_code == 1
    assert f"error: {file}:16: job 'bad': " in result.stderr
    assert "WEBHOOKCRON_ALLOWED_TARGET_NETWORKS" in result.stderr
    assert shared_platform.request("GET", "/api/cron").json()["total"] == 2


def test_jobs_without_keys_are_left_out_or_get_one(
    ok: Any, run: Run, shared_platform: Any, jobs: None
) -> None:
    shared_platform.create_job(
        name="Größte Übung", cronExpression="@daily", webhookUrl="https://example.com/"
    )

    result = run("export")
    assert "1 job without a key left out" in result.stderr
    assert "jobs: []" in result.stdout

    assert "key: grosste-ubung" in ok("export", "--assign-keys", "--yes")
    assert "key: grosste-ubung" in ok("export")


def test_a_crontab_is_moved_in_one_go(ok: Any, receiver: Any, tmp_path: Path, jobs: None) -> None:
    crontab = f"*/5 * * * * curl -fsS {receiver.url}\n30 2 * * * curl --json '{{\"a\": 1}}' {receiver.url}\n"
    file = tmp_path / "crontab.yaml"

    ok("import", "crontab", "-", "--timezone", "UTC", "-o", file, stdin=crontab)
    ok("apply", "-f", file, "--yes")
    listed = ok("jobs", "list")

    assert "*/5 * * * *" in listed
    assert "30 2 * * *" in listed


def test_a_job_is_made_looked_at_run_and_deleted(ok: Any, run: Run, receiver: Any, jobs: None) -> None:
    made = ok(
        "jobs",
        "create",
        "--name",
        "Ping",
        "--every",
        "12 hours",
        "--url",
        receiver.url,
        "--payload",
        '{"a": 1}',
    )
    assert re.search(r"signing secret, shown this once: whsec_\S+", made)

    assert json.loads(ok("jobs", "list", "--json"))[0]["name"] == "Ping"
    assert "Every 12 hours" in ok("jobs", "show", "Ping")
    assert "paused 'Ping' (paused)" in ok("jobs", "pause", "ping")
    assert "resumed 'Ping' (active, next run " in ok("jobs", "resume", "ping")

    ended = json.loads(ok("jobs", "trigger", "ping", "--wait", "--json"))
    assert (ended["status"], receiver.calls[0].body) == ("success", b'{"a":1}')

    receiver.status = 400
    failed = run("jobs", "trigger", "ping")
    assert failed.exit_code == 0

    assert "did you mean 'Ping'" in run("jobs", "show", "Pnig").stderr
    assert run("jobs", "delete", "Ping").exit_code == 2
    assert ok("jobs", "delete", "Ping", "--yes") == "deleted 'Ping'\n"
    assert run("jobs", "show", "Ping").exit_code == 1


def test_who_waits_for_a_run_is_told_of_attempts_that_fail(
    ok: Any, run: Run, receiver: Any, tmp_path: Path, jobs: None
) -> None:
    receiver.status = 503
    flaky = {"name": "Flaky", "webhookUrl": receiver.url, "runAt": "2099-01-01T00:00:00Z"}
    definition = tmp_path / "flaky.json"
    definition.write_text(json.dumps({**flaky, "retryDelaysMs": [1000], "maxRetries": 1}))
    ok("jobs", "create", "-f", str(definition))
    waited = run("jobs", "trigger", "Flaky", "--wait")
    assert (waited.exit_code, "2 attempts" in waited.stdout) == (1, True)
    assert re.search(r"retrying, HTTP 503, .*1 attempt; the next one at 20", waited.stderr)


def test_the_log_is_shown_followed_and_repeated(
    ok: Any, receiver: Any, jobs: None, environ: dict[str, str], eventually: Any
) -> None:
    ok("jobs", "create", "--name", "Once", "--in", "0s", "--url", receiver.url)
    eventually(lambda: "success" in ok("logs", "Once"), within=20, what="the first run is in the log")
    [first] = json.loads(ok("logs", "Once", "--json"))

    command = [sys.executable, "-m", "webhookcron", "logs", "Once", "--follow", "--json", "--poll-ms", "100"]
    variables = {**os.environ, **environ}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=variables, text=True) as process:
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["id"] == first["id"]
            assert "queued 1 replay" in ok("replay", first["id"])
            while True:
                line = json.loads(process.stdout.readline())
                if line["status"] == "success":
                    break
            assert line["replayOf"] == first["id"]
        finally:
            process.terminate()

    found = json.loads(
        ok("replay", "--from", "2020-01-01T00:00:00Z", "--status", "success", "--dry-run", "--json")
    )
    assert found["count"] == 2
    assert json.loads(ok("stats", "--json"))["successfulRuns"] >= 1


def test_the_load_of_the_platforms_jobs_is_simulated(ok: Any, file: Path) -> None:
    ok("apply", "-f", file, "--yes")

    found = json.loads(
        ok("simulate", "--from", "2030-01-07T00:00:00Z", "--to", "2030-01-08T00:00:00Z", "--json")
    )

    assert found["executions"] == 5
    assert found["hosts"][0]["host"] == "127.0.0.1"


def test_a_wrong_key_is_one_line_that_says_what_to_do(run: Run) -> None:
    result = run("jobs", "list", WEBHOOKCRON_API_KEY="whk_wrong")

    assert result.exit_code == 1
    assert re.fullmatch(
        r"error: the API does not know this key[^\n]+WEBHOOKCRON_API_KEY[^\n]+\n", result.stderr
    )
