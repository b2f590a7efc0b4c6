import re
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from webhookcron import __version__
from webhookcron.cli import main

SETTINGS = {"MONGODB_URI": "", "REDIS_URL": "", "WEBHOOKCRON_SECRET_KEY": ""}


def run(*arguments: str, **environ: str) -> Result:
    return CliRunner().invoke(main, arguments, env={**SETTINGS, **environ})


def test_it_tells_its_version() -> None:
    result = run("--version")

    assert (result.exit_code, result.output) == (0, f"webhookcron, version {__version__}\n")


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_explains_itself_and_its_options(command: str) -> None:
    result = run(command, "--help")

    assert result.exit_code == 0
    assert main.commands[command].help
    for parameter in main.commands[command].params:
        if not getattr(parameter, "hidden", False):
            assert getattr(parameter, "help", None), parameter.name


def test_the_codes_that_commands_end_with_are_documented() -> None:
    assert "Exit codes: 0 done or stopped as asked, 1 failed while running" in run("--help").output


@pytest.mark.parametrize("command", ["api", "ticker", "worker", "indexes", "admin-key"])
def test_a_missing_setting_ends_with_one_line_and_code_2(command: str) -> None:
    result = run(command)

    assert result.exit_code == 2
    assert re.fullmatch(r"error: MONGODB_URI \(or MONGODB_URI_FILE\) must be set: [^\n]+\n", result.stderr)


def test_up_checks_the_settings_before_it_touches_anything(tmp_path: Path) -> None:
    directory = tmp_path / "data"

    result = run("up", "--data-dir", str(directory), WEBHOOKCRON_TICK_INTERVAL_MS="1")

    assert result.exit_code == 2
    assert result.stderr == "error: WEBHOOKCRON_TICK_INTERVAL_MS must be a whole number from 20 to 60000\n"
    assert not directory.exists()


def test_a_secret_key_is_long_and_never_the_same() -> None:
    first, second = run("secret-key").output.strip(), run("secret-key").output.strip()

    assert first != second
    assert len(first) >= 43


def test_a_secret_key_is_kept_in_a_file_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "secret.key"

    result = run("secret-key", "--output", str(file))

    assert result.exit_code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(file.read_text().strip()) >= 43
    assert result.stdout == ""


def test_a_secret_key_that_exists_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "secret.key"
    file.write_text("mine\n")

    assert run("secret-key", "--output", str(file)).exit_code == 0
    assert file.read_text() == "mine\n"


def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    file = tmp_path / "missing" / "secret.key"

    result = run("secret-key", "--output", str(file))

    assert result.exit_code == 2
    assert result.stderr == f"error: cannot keep a secret in {file}: No such file or directory\n"
