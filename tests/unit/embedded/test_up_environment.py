from pathlib import Path
from typing import Any

import pytest

from webhookcron.config import SettingsError, load_settings
from webhookcron.embedded.up_environment import checked_settings, child_environment, is_set


def completed(environ: dict[str, str], **more: Any) -> dict[str, str]:
    values: dict[str, Any] = {
        "mongodb_uri": "mongodb://%2Fm.sock/webhookcron",
        "redis_url": "unix:///r.sock?db=0",
        "secret_key_file": Path("/data/secret.key"),
        "host": "127.0.0.1",
        "port": 8123,
        "allow_loopback": True,
        "colors": False,
    }
    return child_environment(environ, **(values | more))


def test_it_completes_an_empty_environment() -> None:
    assert completed({}) == {
        "MONGODB_URI": "mongodb://%2Fm.sock/webhookcron",
        "REDIS_URL": "unix:///r.sock?db=0",
        "WEBHOOKCRON_SECRET_KEY_FILE": "/data/secret.key",
        "WEBHOOKCRON_HOST": "127.0.0.1",
        "WEBHOOKCRON_PORT": "8123",
        "WEBHOOKCRON_ALLOWED_TARGET_NETWORKS": "127.0.0.0/8,::1/128",
        "PYTHONUNBUFFERED": "1",
    }


def test_it_keeps_what_the_user_set() -> None:
    own = {
        "MONGODB_URI": "mongodb://db/wc",
        "REDIS_URL_FILE": "/redis",
        "WEBHOOKCRON_SECRET_KEY": "k",
        "PATH": "/bin",
    }

    environ = completed(own, mongodb_uri=None, redis_url=None, secret_key_file=None)

    assert own.items() <= environ.items()
    assert "REDIS_URL" not in environ
    assert "WEBHOOKCRON_SECRET_KEY_FILE" not in environ


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        ("10.0.0.0/8", "10.0.0.0/8,127.0.0.0/8,::1/128"),
        (" 10.0.0.0/8, ", "10.0.0.0/8,127.0.0.0/8,::1/128"),
        ("", "127.0.0.0/8,::1/128"),
    ],
)
def test_loopback_is_added_to_the_networks_that_the_user_allows(present: str, expected: str) -> None:
    environ = completed({"WEBHOOKCRON_ALLOWED_TARGET_NETWORKS": present})

    assert environ["WEBHOOKCRON_ALLOWED_TARGET_NETWORKS"] == expected
    # What comes out must be readable by those who get it.
    secret = {"WEBHOOKCRON_SECRET_KEY_FILE": "", "WEBHOOKCRON_SECRET_KEY": "x" * 16}
    assert len(load_settings({**environ, **secret}, role="worker").allowed_target_networks) >= 2


def test_off_loopback_nothing_is_allowed_beyond_the_users_word() -> None:
    assert "WEBHOOKCRON_ALLOWED_TARGET_NETWORKS" not in completed({}, allow_loopback=False)


def test_colours_are_passed_on_to_children_whose_output_is_a_pipe() -> None:
    assert completed({}, colors=True)["FORCE_COLOR"] == "1"


def test_what_nothing_reads_is_not_handed_on() -> None:
    environ = completed({"WEBHOOKCRON_TYPO": "1", "WEBHOOKCRON_API_KEY": "whk_x", "OTHER": "2"})

    assert "WEBHOOKCRON_TYPO" not in environ
    assert environ["WEBHOOKCRON_API_KEY"] == "whk_x"
    assert environ["OTHER"] == "2"


def test_the_directory_in_which_another_program_shares_its_metrics_is_not_handed_on() -> None:
    assert "PROMETHEUS_MULTIPROC_DIR" not in completed({"PROMETHEUS_MULTIPROC_DIR": "/gone"})


def test_the_callers_environment_is_left_alone() -> None:
    environ: dict[str, str] = {}
    completed(environ)
    assert environ == {}


def test_settings_can_be_checked_before_there_is_a_store() -> None:
    assert checked_settings({"WEBHOOKCRON_PORT": "9000"}).port == 9000
    with pytest.raises(SettingsError, match="WEBHOOKCRON_PORT must be"):
        checked_settings({"WEBHOOKCRON_PORT": "nine"})


@pytest.mark.parametrize(
    ("environ", "expected"),
    [({"X": "1"}, True), ({"X_FILE": "/x"}, True), ({"X": " "}, False), ({}, False)],
)
def test_a_variable_is_set_by_value_or_file(environ: dict[str, str], expected: bool) -> None:
    assert is_set(environ, "X") is expected
