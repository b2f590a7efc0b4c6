"""Which API, with which key: from options, the environment and the profile file, in this order.

The profile file is `~/.config/webhookcron/config.toml` (below `XDG_CONFIG_HOME` where that is set):

    default = "local"

    [profiles.local]
    apiUrl = "http://127.0.0.1:8000"
    apiKeyFile = "~/project/.webhookcron/admin.key"

    [profiles.production]
    apiUrl = "https://cron.example.com"
    apiKey = "whk_…"
    timeoutSeconds = 60
"""

from __future__ import annotations

import difflib
import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from webhookcron.client.errors import ClientSettingsWrong

DEFAULT_API_URL = "http://127.0.0.1:8000"
"""Where `webhookcron up` listens."""

DEFAULT_TIMEOUT_SECONDS = 30.0
MAX_TIMEOUT_SECONDS = 600.0

LOCAL_ADMIN_KEY = Path(".webhookcron") / "admin.key"
"""Where `webhookcron up` keeps its key: used in that directory when neither key nor URL is given."""

MAX_FILE_BYTES = 64 * 1024

_FIELDS = ("apiUrl", "apiKey", "apiKeyFile", "timeoutSeconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenOptions:
    """What the command line says; None = nothing."""

    api_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    profile: str | None = None
    timeout_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """Which API, with which key."""

    api_url: str
    """Scheme, host, port and perhaps a path, without a final slash."""
    api_key: str | None = field(repr=False)
    """None = none was found; the API will say what it thinks of that."""
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    """How long one request may go without a byte of the answer."""
    warnings: tuple[str, ...] = ()
    """What the user should know, a sentence each."""


def load_client_settings(
    options: GivenOptions, environ: Mapping[str, str], *, home: Path, directory: Path
) -> ClientSettings:
    """The settings of this call. Raises ClientSettingsWrong.

    Options come first, then the profile that `--profile` names, then the environment, then the profile of
    WEBHOOKCRON_PROFILE or the file's `default`.
    """
    warnings: list[str] = []
    file = config_file(environ, home)
    named = options.profile or environ.get("WEBHOOKCRON_PROFILE", "").strip() or None
    profile = _profile(file, named, warnings)
    sources: list[Mapping[str, Any]] = [_options(options), _environment(environ), profile]
    if options.profile is not None:
        sources = [_options(options), profile, _environment(environ)]
    url = next((source["apiUrl"] for source in sources if "apiUrl" in source), None)
    key = next((_key(source, home) for source in sources if source.keys() & {"apiKey", "apiKeyFile"}), None)
    if key is None and url is None and (directory / LOCAL_ADMIN_KEY).is_file():
        key = _key_of_file(directory / LOCAL_ADMIN_KEY, str(LOCAL_ADMIN_KEY))
    timeout = next((source["timeoutSeconds"] for source in sources if "timeoutSeconds" in source), None)
    return ClientSettings(
        api_url=_checked_url(url or DEFAULT_API_URL),
        api_key=None if key is None else _checked_key(key),
        timeout_seconds=_checked_timeout(DEFAULT_TIMEOUT_SECONDS if timeout is None else timeout),
        warnings=tuple(warnings),
    )


def config_file(environ: Mapping[str, str], home: Path) -> Path:
    """Where the profile file is, whether it exists or not."""
    base = environ.get("XDG_CONFIG_HOME", "")
    # XDG Base Directory Specification: relative paths are to be ignored.
    directory = Path(base) if base.startswith("/") else home / ".config"
    return directory / "webhookcron" / "config.toml"


def _options(options: GivenOptions) -> dict[str, Any]:
    given = {
        "apiUrl": options.api_url,
        "apiKey": options.api_key,
        "timeoutSeconds": options.timeout_seconds,
    }
    return {name: value for name, value in given.items() if value is not None}


def _environment(environ: Mapping[str, str]) -> dict[str, Any]:
    names = {
        "WEBHOOKCRON_API_URL": "apiUrl",
        "WEBHOOKCRON_API_KEY": "apiKey",
        "WEBHOOKCRON_API_KEY_FILE": "apiKeyFile",
    }
    found = {field: environ[name].strip() for name, field in names.items() if environ.get(name, "").strip()}
    if "apiKey" in found and "apiKeyFile" in found:
        raise ClientSettingsWrong(
            "WEBHOOKCRON_API_KEY and WEBHOOKCRON_API_KEY_FILE are both set; set only one of them"
        )
    return found


def _profile(file: Path, named: str | None, warnings: list[str]) -> dict[str, Any]:
    content = _content(file)
    if content is None:
        if named is not None:
            raise ClientSettingsWrong(f"there is no profile {named!r}: {file} does not exist")
        return {}
    profiles = content.get("profiles", {})
    name = named or content.get("default")
    if not isinstance(profiles, dict) or not (name is None or isinstance(name, str)):
        raise ClientSettingsWrong(
            f"{file}: `default` must be a text, and profiles are [profiles.NAME] tables"
        )
    if name is None:
        return {}
    profile = profiles.get(name)
    if not isinstance(profile, dict):
        near = difflib.get_close_matches(name, profiles, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ClientSettingsWrong(f"{file} has no profile {name!r}{hint}")
    for field_name, value in profile.items():
        wanted: tuple[type, ...] = (int, float) if field_name == "timeoutSeconds" else (str,)
        if field_name not in _FIELDS:
            raise ClientSettingsWrong(
                f"{file}: {field_name!r} of profile {name!r} is unknown; known are {', '.join(_FIELDS)}"
            )
        if not isinstance(value, wanted) or isinstance(value, bool):
            kind = "number" if float in wanted else "text"
            raise ClientSettingsWrong(f"{file}: {field_name} of profile {name!r} must be a {kind}")
    if "apiKey" in profile and stat.S_IMODE(file.stat().st_mode) & 0o077:
        warnings.append(f"{file} holds a key and can be read by others: chmod 600 it")
    return dict(profile)


def _content(file: Path) -> dict[str, Any] | None:
    try:
        with file.open("rb") as opened:
            return tomllib.loads(opened.read(MAX_FILE_BYTES).decode())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ClientSettingsWrong(f"{file} cannot be read: {os.strerror(error.errno or 0)}") from None
    except ValueError as error:
        raise ClientSettingsWrong(f"{file} is not valid TOML: {error}") from None


def _key(source: Mapping[str, Any], home: Path) -> str:
    if "apiKey" in source:
        return str(source["apiKey"])
    name = str(source["apiKeyFile"])
    path = home / name[2:] if name.startswith("~/") else Path(name)
    return _key_of_file(path, name)


def _key_of_file(path: Path, name: str) -> str:
    try:
        with path.open("rb") as opened:
            text = opened.read(MAX_FILE_BYTES).decode().strip()
    except OSError as error:
        raise ClientSettingsWrong(
            f"the key file {name} cannot be read: {os.strerror(error.errno or 0)}"
        ) from None
    except UnicodeDecodeError:
        raise ClientSettingsWrong(f"the key file {name} holds no text") from None
    if not text:
        raise ClientSettingsWrong(f"the key file {name} is empty")
    return text


def _checked_url(url: str) -> str:
    wanted = "the URL of the API must look like https://cron.example.com or http://127.0.0.1:8000"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ClientSettingsWrong(f"{wanted}, not {url!r}")
    if parts.username is not None or parts.query or parts.fragment:
        raise ClientSettingsWrong(f"{wanted}, without user, query or fragment")
    return url.rstrip("/")


def _checked_key(key: str) -> str:
    # It travels in a header; anything else is a file or a variable that holds something else.
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ClientSettingsWrong("the API key must be one word such as whk_…, without blanks or line breaks")
    return key


def _checked_timeout(seconds: float) -> float:
    if not 0 < seconds <= MAX_TIMEOUT_SECONDS:
        raise ClientSettingsWrong(f"the timeout must be above 0 and at most {MAX_TIMEOUT_SECONDS:g} seconds")
    return float(seconds)
