"""What `up` tells: the banner for people, the ready file for programs."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from webhookcron.secret_files import write_secret_file


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What is known about a platform that runs."""

    url: str
    data_directory: Path
    admin_key_file: Path
    new_admin_key: str | None
    """The admin key when this start made it; None at later starts."""
    admin_password_file: Path
    new_admin_password: str | None
    """The password of the admin's login when this start made it; None at later starts."""
    stores: Sequence[str]
    """The embedded stores in words; empty when the user brought both."""
    loopback_targets: bool
    mongodb_uri: str | None
    """URI of the embedded store; None when the user brought their own, whose URI may hold a password."""
    redis_url: str | None


def banner(standing: Standing) -> list[str]:
    """The lines shown once all is ready."""
    lines = [
        "",
        f"  webhookcron runs at {standing.url}",
        f"  documentation       {standing.url}/api-docs",
        f"  data directory      {standing.data_directory}",
        *(f"  brought along       {store}" for store in standing.stores),
    ]
    if standing.loopback_targets:
        lines.append(
            "  targets             loopback targets are allowed because the API is bound to loopback"
        )
    else:
        lines.append("  reachable           from other machines, and without TLS: put a proxy in front of it")
    lines.append("")
    if standing.new_admin_key is not None:
        lines.append(f"  export WEBHOOKCRON_API_KEY={standing.new_admin_key}")
        lines.append(f"  (kept in {standing.admin_key_file})")
    else:
        lines.append(f'  export WEBHOOKCRON_API_KEY="$(cat {shlex.quote(str(standing.admin_key_file))})"')
    if standing.new_admin_password is not None:
        lines.append(f"  log in as admin@localhost with {standing.new_admin_password}")
        lines.append(f"  (kept in {standing.admin_password_file})")
    return [*lines, "", "  Ctrl-C stops everything; the data stays.", ""]


def write_ready_file(path: Path, standing: Standing, pids: Mapping[str, list[int]]) -> None:
    """Write what a program needs to use the platform, in one step, readable by the owner only.

    `children` holds the process ids by role: store, redis, api, ticker, worker. Raises OSError.
    """
    content = {
        "url": standing.url,
        "pid": os.getpid(),
        "children": dict(pids),
        "dataDirectory": str(standing.data_directory),
        "adminKeyFile": str(standing.admin_key_file),
        "adminPasswordFile": str(standing.admin_password_file),
        "mongodbUri": standing.mongodb_uri,
        "redisUrl": standing.redis_url,
    }
    write_secret_file(path, json.dumps(content, indent=2))
