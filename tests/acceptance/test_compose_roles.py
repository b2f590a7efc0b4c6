"""The compose file's services, run as plain processes: their commands, their environment, without containers."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

pytestmark = pytest.mark.acceptance

REPOSITORY = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
WEBHOOKCRON = f"{sys.executable} -m webhookcron"


class Services:
    """Turns a compose service into a process on this machine."""

    def __init__(self, keys: Path, mongodb_uri: str, redis_url: str, logs: Path) -> None:
        self.keys = keys
        self._logs = logs
        self._hosts = {
            "mongodb://mongo:27017": mongodb_uri,
            "redis://redis:6379/0": redis_url,
            "/keys/": f"{keys}/",
            # The one private host that the file allows.
            "*,listen": "*,127.0.0.1",
        }

    def here(self, text: str) -> str:
        """`text` of the compose file with this machine's places in it, and compose's `${NAME:-default}` filled in."""
        text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
        for there, here in self._hosts.items():
            text = text.replace(there, here)
        return text

    def environment(self, name: str) -> dict[str, str]:
        """The service's environment, and nothing else that this project reads."""
        own = {key: value for key, value in os.environ.items() if not key.startswith("WEBHOOKCRON_")}
        return own | {
            key: self.here(value)
            for key, value in (COMPOSE["services"][name].get("environment") or {}).items()
        }

    def command(self, name: str, *more: str) -> list[str]:
        """The service's command, as a shell line where it has an entry point of its own."""
        service = COMPOSE["services"][name]
        arguments = [self.here(str(part)) for part in service["command"]]
        if "entrypoint" in service:
            return [*service["entrypoint"], arguments[0].replace("webhookcron ", f"{WEBHOOKCRON} "), *more]
        return [*WEBHOOKCRON.split(), *arguments, *more]

    def start(self, name: str, *more: str) -> "subprocess.Popen[str]":
        """A running service; its output is in `log`."""
        with self.log(name).open("w") as log:
            return subprocess.Popen(
                self.command(name, *more),
                env=self.environment(name),
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
            )

    def log(self, name: str) -> Path:
        return self._logs / f"{name}.log"


@pytest.fixture
def services(tmp_path: Path, mongodb_uri: str, redis_url: str, redis_client: Any) -> Services:
    keys = tmp_path / "keys"
    keys.mkdir()
    return Services(keys, mongodb_uri, redis_url, tmp_path)


@pytest.fixture
def initialized(services: Services) -> Services:
    done = subprocess.run(
        services.command("init"),
        env=services.environment("init"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return services


@pytest.fixture
def running(initialized: Services, eventually: Callable[..., Any]) -> Iterator[dict[str, Any]]:
    """The API's and the receiver's URL, with two tickers and two workers behind them."""
    with ExitStack() as stack:

        def start(name: str, *more: str) -> "subprocess.Popen[str]":
            process = stack.enter_context(initialized.start(name, *more))
            stack.callback(process.send_signal, signal.SIGTERM)
            return process

        processes = [start("api", "--host", "127.0.0.1", "--port", "0")]
        for name in ("ticker", "worker"):
            replicas = COMPOSE["services"][name]["deploy"]["replicas"]
            processes += [start(name) for _ in range(replicas)]
        start("listen", "--host", "127.0.0.1", "--port", "0")

        def address(name: str, pattern: str) -> str:
            def look() -> str | None:
                found = re.search(pattern, initialized.log(name).read_text())
                return found[1] if found else None

            return str(eventually(look, within=30, what=f"{name} listens"))

        yield {
            "processes": processes,
            "api": address("api", r"Listening at: (http://[0-9.:]+)"),
            "target": address("listen", r"listening on (http://[^ ]+)"),
            "key": (initialized.keys / "admin.key").read_text().strip(),
        }


def test_init_writes_both_keys_for_their_owner_only(initialized: Services) -> None:
    for name in ("secret.key", "admin.key"):
        assert (initialized.keys / name).stat().st_mode & 0o777 == 0o600
    assert (initialized.keys / "admin.key").read_text().startswith("whk_")


def test_init_may_run_again_and_changes_nothing(initialized: Services) -> None:
    before = {path.name: path.read_text() for path in initialized.keys.iterdir()}

    subprocess.run(
        initialized.command("init"), env=initialized.environment("init"), capture_output=True, check=True
    )

    assert {path.name: path.read_text() for path in initialized.keys.iterdir()} == before


def test_the_roles_together_deliver_to_the_allowed_receiver(
    running: dict[str, Any], services: Services, eventually: Callable[..., Any]
) -> None:
    headers = {"Authorization": f"Bearer {running['key']}"}
    job = {"name": "Every second", "cronExpression": "* * * * * *", "webhookUrl": running["target"]}

    def created() -> requests.Response | None:
        answer = requests.post(f"{running['api']}/api/cron", json=job, headers=headers, timeout=60)
        return answer if answer.status_code == 201 else None

    eventually(created, within=30, what="the API takes a job")

    eventually(
        lambda: services.log("listen").read_text().count(" POST ") >= 5, within=60, what="five calls arrive"
    )


def test_every_role_ends_by_sigterm_with_code_0(
    running: dict[str, Any], eventually: Callable[..., Any]
) -> None:
    eventually(
        lambda: requests.get(f"{running['api']}/health/ready", timeout=60).status_code == 200,
        within=30,
        what="the API is ready",
    )
    for process in running["processes"]:
        process.send_signal(signal.SIGTERM)

    assert {process.wait(60) for process in running["processes"]} == {0}


def test_the_wsgi_file_makes_the_app_from_the_environment(initialized: Services) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import wsgi; print(wsgi.app.test_client().get('/health/live').status_code)"],
        cwd=REPOSITORY,
        env=initialized.environment("api"),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == "200\n", done.stderr


def test_the_compose_file_publishes_on_loopback_only() -> None:
    published = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]

    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)
