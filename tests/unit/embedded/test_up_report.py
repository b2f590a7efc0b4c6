import json
import os
import stat
from dataclasses import replace
from pathlib import Path

from webhookcron.embedded.up_report import Standing, banner, write_ready_file

FIRST = Standing(
    url="http://127.0.0.1:8000",
    data_directory=Path("/data"),
    admin_key_file=Path("/data/admin.key"),
    new_admin_key="whk_new",
    admin_password_file=Path("/data/admin.password"),
    new_admin_password="a-password",
    stores=["embedded store (keeps at most 50,000 finished executions)"],
    loopback_targets=True,
    mongodb_uri="mongodb://m/wc",
    redis_url="unix:///r.sock",
)


def test_the_first_start_shows_the_key_to_copy() -> None:
    assert "  export WEBHOOKCRON_API_KEY=whk_new" in banner(FIRST)


def test_later_starts_say_where_the_key_is() -> None:
    later = replace(FIRST, new_admin_key=None, admin_key_file=Path("/my data/admin.key"))

    assert """  export WEBHOOKCRON_API_KEY="$(cat '/my data/admin.key')\"""" in banner(later)


def test_the_first_start_shows_the_login_once() -> None:
    assert "  log in as admin@localhost with a-password" in banner(FIRST)
    assert "log in" not in "\n".join(banner(replace(FIRST, new_admin_password=None)))


def test_the_banner_names_address_documentation_data_and_limits() -> None:
    text = "\n".join(banner(FIRST))

    for part in (
        "http://127.0.0.1:8000/api-docs",
        "/data",
        "50,000 finished executions",
        "bound to loopback",
    ):
        assert part in text


def test_off_loopback_the_banner_warns_instead_of_speaking_of_loopback_targets() -> None:
    text = "\n".join(banner(replace(FIRST, loopback_targets=False)))

    assert "loopback" not in text
    assert "reachable           from other machines, and without TLS" in text


def test_the_ready_file_is_whole_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "ready.json"

    write_ready_file(path, FIRST, {"api": [11], "ticker": [12, 13]})

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()) == {
        "url": "http://127.0.0.1:8000",
        "pid": os.getpid(),
        "children": {"api": [11], "ticker": [12, 13]},
        "dataDirectory": "/data",
        "adminKeyFile": "/data/admin.key",
        "adminPasswordFile": "/data/admin.password",
        "mongodbUri": "mongodb://m/wc",
        "redisUrl": "unix:///r.sock",
    }
