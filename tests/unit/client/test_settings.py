from pathlib import Path

import pytest

from webhookcron.client.errors import ClientSettingsWrong
from webhookcron.client.settings import (
    DEFAULT_API_URL,
    ClientSettings,
    GivenOptions,
    config_file,
    load_client_settings,
)

PROFILES = """
default = "local"
[profiles.local]
apiUrl = "http://127.0.0.1:9000/"
apiKeyFile = "~/key"
[profiles.production]
apiUrl = "https://cron.example.com"
apiKey = "whk_production"
timeoutSeconds = 60
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "key").write_text("whk_file\n")
    return tmp_path


@pytest.fixture
def profiles(home: Path) -> Path:
    file = config_file({}, home)
    file.parent.mkdir(parents=True)
    file.write_text(PROFILES)
    file.chmod(0o600)
    return file


def load(home: Path, options: GivenOptions | None = None, **environ: str) -> ClientSettings:
    return load_client_settings(options or GivenOptions(), environ, home=home, directory=home)


def test_without_anything_it_is_the_platform_on_this_machine(home: Path) -> None:
    settings = load(home)

    assert (settings.api_url, settings.api_key) == (DEFAULT_API_URL, None)


def test_the_key_of_up_in_this_directory_is_found(home: Path) -> None:
    (home / ".webhookcron").mkdir()
    (home / ".webhookcron" / "admin.key").write_text("whk_admin\n")

    assert load(home).api_key == "whk_admin"
    # It belongs to no other platform.
    assert load(home, WEBHOOKCRON_API_URL="https://cron.example.com").api_key is None


def test_the_default_profile_is_used(home: Path, profiles: Path) -> None:
    settings = load(home)

    assert (settings.api_url, settings.api_key) == ("http://127.0.0.1:9000", "whk_file")


def test_the_environment_beats_the_default_profile(home: Path, profiles: Path) -> None:
    assert load(home, WEBHOOKCRON_API_KEY="whk_env").api_key == "whk_env"


def test_a_profile_that_is_named_beats_the_environment(home: Path, profiles: Path) -> None:
    settings = load(home, GivenOptions(profile="production"), WEBHOOKCRON_API_KEY="whk_env")

    assert (settings.api_url, settings.api_key) == ("https://cron.example.com", "whk_production")
    assert settings.timeout_seconds == 60


def test_options_beat_everything(home: Path, profiles: Path) -> None:
    options = GivenOptions(profile="production", api_url="http://x.test", api_key="whk_o", timeout_seconds=5)

    settings = load(home, options)

    assert (settings.api_url, settings.api_key, settings.timeout_seconds) == ("http://x.test", "whk_o", 5)


def test_the_variable_may_name_a_file(home: Path) -> None:
    assert load(home, WEBHOOKCRON_API_KEY_FILE=str(home / "key")).api_key == "whk_file"


def test_the_key_is_not_in_the_repr(home: Path) -> None:
    assert "whk_env" not in repr(load(home, WEBHOOKCRON_API_KEY="whk_env"))


def test_a_file_with_a_key_that_others_can_read_is_warned_of(home: Path, profiles: Path) -> None:
    profiles.chmod(0o644)

    settings = load(home, GivenOptions(profile="production"))

    assert "chmod 600" in settings.warnings[0]


@pytest.mark.parametrize(
    ("options", "environ", "message"),
    [
        (GivenOptions(profile="prodution"), {}, "did you mean production"),
        (GivenOptions(), {"WEBHOOKCRON_PROFILE": "nobody"}, "has no profile 'nobody'"),
        (GivenOptions(api_url="cron.example.com"), {}, "must look like https://"),
        (GivenOptions(api_url="https://me:pw@cron.example.com"), {}, "without user"),
        (GivenOptions(api_key="two words"), {}, "one word"),
        (GivenOptions(), {"WEBHOOKCRON_API_KEY_FILE": "/nowhere/key"}, "No such file"),
        (
            GivenOptions(),
            {"WEBHOOKCRON_API_KEY": "a", "WEBHOOKCRON_API_KEY_FILE": "b"},
            "set only one",
        ),
        (GivenOptions(timeout_seconds=601), {}, "at most 600"),
    ],
)
def test_what_is_wrong_is_told(
    home: Path, profiles: Path, options: GivenOptions, environ: dict[str, str], message: str
) -> None:
    with pytest.raises(ClientSettingsWrong, match=message):
        load(home, options, **environ)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("default = ", "not valid TOML"),
        ('[profiles.local]\napiUlr = "x"\n', "'apiUlr' of profile"),
        ("[profiles.local]\napiUrl = 3\n", "must be a text"),
        ('profiles = "x"\n', "tables"),
    ],
)
def test_a_profile_file_that_is_wrong_is_told(home: Path, profiles: Path, text: str, message: str) -> None:
    profiles.write_text(text)

    with pytest.raises(ClientSettingsWrong, match=message):
        load(home, GivenOptions(profile="local"))


def test_the_profile_file_follows_xdg_config_home(home: Path) -> None:
    assert config_file({"XDG_CONFIG_HOME": "/x"}, home) == Path("/x/webhookcron/config.toml")
    assert config_file({"XDG_CONFIG_HOME": "relative"}, home) == home / ".config/webhookcron/config.toml"
