"""Names and keys for what had none."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import urlsplit

MAX_NAME_LENGTH = 120
MAX_KEY_LENGTH = 60


def name_of_request(url: str) -> str:
    """A name made of a URL: host and path."""
    # Placeholders stay readable; nobody has to call this URL.
    parts = urlsplit(url if "://" in url else f"http://{url}")
    path = parts.path.strip("/")
    return f"{parts.netloc.rpartition('@')[2]}{'/' if path else ''}{path}"[:MAX_NAME_LENGTH] or "job"


def key_of(name: str, taken: Iterable[str]) -> str:
    """A key made of a name: lower-case letters, digits and dashes, with a number behind it where it is taken."""
    plain = unicodedata.normalize("NFKD", name.casefold()).encode("ascii", "ignore").decode()
    base = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:MAX_KEY_LENGTH].strip("-") or "job"
    others = set(taken)
    key, number = base, 2
    while key in others:
        key, number = f"{base}-{number}", number + 1
    return key
