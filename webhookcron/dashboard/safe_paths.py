"""Where a visitor may be sent after signing in: pages of this dashboard only."""

from __future__ import annotations

from urllib.parse import urlsplit

PREFIX = "/dashboard"

MAX_LENGTH = 2_000


def local_path(wanted: str | None) -> str | None:
    """`wanted` when it is a path (with query) below the dashboard, else None.

    Browsers read `//host`, `/\\host` and paths with tabs or line feeds in them as other hosts (WHATWG URL, section
    4.4); none of these passes.
    """
    if not wanted or len(wanted) > MAX_LENGTH or not wanted.isascii() or not wanted.isprintable():
        return None
    if "\\" in wanted or ".." in wanted:
        return None
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return None
    if parts.scheme or parts.netloc:
        return None
    inside = parts.path == PREFIX or parts.path.startswith(PREFIX + "/")
    return wanted if inside and wanted.startswith(PREFIX) else None
