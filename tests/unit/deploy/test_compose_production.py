"""The compose file for production keeps to what the guide promises."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from webhookcron.config import VARIABLES, load_settings

DEPLOY = Path(__file__).parents[3] / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.production.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
ONE_SHOT = {"prepare", "mongo-setup"}
LASTING = sorted(SERVICES.keys() - ONE_SHOT)
OWN = ("api", "ticker", "worker")


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))


def test_it_is_a_compose_file_by_its_schema() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    ended = subprocess.run(
        [*command, str(DEPLOY / "compose.production.yml")], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout


def test_only_the_proxy_is_published() -> None:
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["proxy"]
    assert COMPOSE["networks"]["stores"] == {"internal": True}
    assert {name for name, service in SERVICES.items() if service["networks"] == ["stores"]} >= {
        "mongo-1", "mongo-2", "mongo-3", "redis", "ticker",
    }  # fmt: skip


@pytest.mark.parametrize("name", LASTING)
def test_what_lasts_is_restarted_looked_after_and_bounded(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["deploy"]["resources"]["limits"]["memory"]
    assert service["logging"]["options"]["max-size"]
    # The API has the check of its image.
    assert name == "api" or service["healthcheck"]["test"]


@pytest.mark.parametrize("name", OWN)
def test_a_process_has_more_time_to_stop_than_it_takes_and_comes_in_twos(name: str) -> None:
    settings = load_settings({"MONGODB_URI": "mongodb://db/x"}, role="setup")
    assert seconds(SERVICES[name]["stop_grace_period"]) > settings.drain_seconds + 10
    assert SERVICES[name]["deploy"]["replicas"] >= 2


@pytest.mark.parametrize("name", OWN)
def test_the_environment_of_a_process_holds_known_settings_and_no_secret(name: str) -> None:
    known = {variable.name: variable for variable in VARIABLES}
    for key in SERVICES[name]["environment"]:
        variable = known[key.removesuffix("_FILE")]
        assert variable.secret == key.endswith("_FILE"), key


def test_secrets_come_from_files_that_the_script_makes() -> None:
    made = set(re.findall(r"\| keep (\w+)", (DEPLOY / "make-secrets.sh").read_text()))
    assert {entry["file"] for entry in COMPOSE["secrets"].values()} == {f"./secrets/{name}" for name in made}
    used = {secret for service in SERVICES.values() for secret in service.get("secrets", [])}
    assert used == set(COMPOSE["secrets"])


def test_the_script_makes_usable_settings_once(tmp_path: Path) -> None:
    script = tmp_path / "make-secrets.sh"
    script.write_text((DEPLOY / "make-secrets.sh").read_text())
    contents = []
    for _ in range(2):
        subprocess.run(["sh", str(script)], check=True, capture_output=True)
        contents.append({file.name: file.read_text() for file in (tmp_path / "secrets").iterdir()})
    assert contents[0] == contents[1]
    names = {"MONGODB_URI": "mongodb_uri", "REDIS_URL": "redis_url", "WEBHOOKCRON_SECRET_KEY": "secret_key"}
    load_settings(
        {f"{name}_FILE": str(tmp_path / "secrets" / file) for name, file in names.items()}, role="api"
    )
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700


def test_redis_keeps_what_it_is_given() -> None:
    [command] = SERVICES["redis"]["command"]
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command


def test_the_proxy_hides_the_metrics_and_is_believed() -> None:
    proxy = (DEPLOY / "nginx.conf").read_text()
    assert "location = /metrics {\n        return 404;" in proxy
    subnet = COMPOSE["networks"]["front"]["ipam"]["config"][0]["subnet"]
    assert SERVICES["api"]["environment"]["WEBHOOKCRON_TRUSTED_PROXIES"] == subnet
