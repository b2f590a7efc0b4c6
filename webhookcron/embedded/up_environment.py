"""The environment of the children of `up`: what the user set, and what is completed where they set nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from webhookcron.config import PREFIX, Settings, load_settings, unknown_variables

LOOPBACK_NETWORKS = ("127.0.0.0/8", "::1/128")


def is_set(environ: Mapping[str, str], name: str) -> bool:
    """Whether the variable, or its `_FILE` form, says something."""
    return any(environ.get(variant, "").strip() for variant in (name, f"{name}_FILE"))


def checked_settings(environ: Mapping[str, str]) -> Settings:
    """The settings that `up` would run with, before anything exists. Raises `SettingsError`."""
    stand_ins = {
        "MONGODB_URI": "mongodb://127.0.0.1/webhookcron",
        "REDIS_URL": "redis://127.0.0.1/0",
        f"{PREFIX}SECRET_KEY": "x" * 32,
    }
    missing = {name: value for name, value in stand_ins.items() if not is_set(environ, name)}
    return load_settings({**environ, **missing}, role="api")


def child_environment(
    environ: Mapping[str, str],
    *,
    mongodb_uri: str | None,
    redis_url: str | None,
    secret_key_file: Path | None,
    host: str,
    port: int,
    allow_loopback: bool,
    colors: bool,
) -> dict[str, str]:
    """`environ` with the stores and the key that `up` brought (None = the user has their own), and the real address.

    With `allow_loopback` the loopback networks are added to the target networks that the user allows.
    """
    # What nothing reads was warned of once, by `up`; handed on, every child would warn again.
    unknown = unknown_variables(environ)
    completed = {name: value for name, value in environ.items() if name not in unknown}
    # Another program's, perhaps of a directory that is gone; each start of the API makes one of its own.
    completed.pop("PROMETHEUS_MULTIPROC_DIR", None)
    brought = {
        "MONGODB_URI": mongodb_uri,
        "REDIS_URL": redis_url,
        f"{PREFIX}SECRET_KEY_FILE": None if secret_key_file is None else str(secret_key_file),
    }
    completed.update({name: value for name, value in brought.items() if value is not None})
    completed[f"{PREFIX}HOST"] = host
    completed[f"{PREFIX}PORT"] = str(port)
    if allow_loopback:
        networks = f"{PREFIX}ALLOWED_TARGET_NETWORKS"
        present = completed.get(networks, "").strip(" ,")
        completed[networks] = ",".join([*([present] if present else []), *LOOPBACK_NETWORKS])
    if colors:
        completed["FORCE_COLOR"] = "1"
    completed["PYTHONUNBUFFERED"] = "1"
    return completed
