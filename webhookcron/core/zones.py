"""IANA time zones from the pinned `tzdata` package, whatever the operating system has installed.

Two machines with different system zone files would otherwise compute different fire times for one
job. Importing this module turns the search of system paths off for the whole process (PEP 615,
`zoneinfo.reset_tzpath`), so that every `ZoneInfo` made afterwards reads the package.
"""

import difflib
import functools
import zoneinfo
from zoneinfo import ZoneInfo

import tzdata

zoneinfo.reset_tzpath(to=())
# A zone that was read from a system path earlier in this process must not be handed out again.
ZoneInfo.clear_cache()

# The longest name in the IANA database has 32 characters; anything far beyond is no typing error.
MAX_NAME_LENGTH = 64


def tzdata_version() -> str:
    """Return the release of the time zone database in use, such as `2026f`.

    Stored fire times are only valid for the release they were computed with.
    """
    return str(tzdata.IANA_VERSION)


@functools.cache
def zone_names() -> frozenset[str]:
    """Return every zone name that `zone` takes, aliases such as `US/Eastern` included."""
    return frozenset(zoneinfo.available_timezones())


def zone(name: str) -> ZoneInfo:
    """Return the zone called `name`, an exact IANA key such as `Europe/Berlin` or `UTC`.

    Raises ValueError, with the closest names where there are any, for everything else.
    """
    if not isinstance(name, str):
        raise ValueError("The time zone must be text, such as 'Europe/Berlin'.")
    return _zone(name)


@functools.lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    if not name or len(name) > MAX_NAME_LENGTH or not name.isascii() or not name.isprintable():
        raise ValueError("The time zone must be an IANA name, such as 'Europe/Berlin' or 'UTC'.")
    if name not in zone_names():
        raise ValueError(f"The time zone {name!r} is unknown.{_hint(name)}")
    return ZoneInfo(name)


def _hint(name: str) -> str:
    """Return ` Did you mean …?` for names close to `name`, else nothing.

    People forget capitals (`europe/berlin`) and the region (`Berlin`).
    """
    folded = name.casefold().replace(" ", "_")
    exact = [known for known in zone_names() if folded in (known.casefold(), known.casefold().split("/")[-1])]
    by_fold = {known.casefold(): known for known in sorted(zone_names())}
    close = [by_fold[match] for match in difflib.get_close_matches(folded, by_fold, n=3, cutoff=0.75)]
    found = list(dict.fromkeys(sorted(exact) + close))[:3]
    return f" Did you mean {' or '.join(found)}?" if found else ""
