"""What templates can use: moments in the viewer's zone, durations, words for statuses."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any

from flask import Blueprint, g, request, url_for
from markupsafe import Markup, escape

from webhookcron import __version__
from webhookcron.api.schema_base import rfc3339
from webhookcron.core.errors import TickSourceUnavailable
from webhookcron.core.executions import FINAL_STATUSES, Execution
from webhookcron.core.schedule_words import describe
from webhookcron.core.schedules import Schedule
from webhookcron.core.zones import zone
from webhookcron.dashboard.bars import phase_bars
from webhookcron.dashboard.durations import exact_duration, short_duration
from webhookcron.dashboard.guard import CSRF_FIELD, present_session, take_notice
from webhookcron.dashboard.words import FAILURE_WORDS, REASON_WORDS, STATUS_WORDS, TRIGGER_WORDS

ZONE_COOKIE = "webhookcron_zone"
THEME_COOKIE = "webhookcron_theme"
LONGEST_TEXT = 20_000
"""Characters of a body or payload that a page shows: no page is to be larger than 200 KB."""

THEMES = ("light", "dark")


def register(blueprint: Blueprint) -> None:
    """Hand the tools to the templates of the dashboard."""

    @blueprint.app_context_processor
    def tools() -> dict[str, Any]:
        if request.blueprint != blueprint.name:
            return {}
        return {
            "viewer": g.get("dashboard_viewer"),
            "csrf_field": csrf_field,
            "csrf_token": csrf_token,
            "take_notice": take_notice,
            "theme": chosen_theme(),
            "version": __version__,
            "moment": moment,
            "moment_in": moment_in,
            "clock": clock,
            "day": day,
            "countdown": countdown,
            "duration": short_duration,
            "exact_duration": exact_duration,
            "status_words": STATUS_WORDS,
            "trigger_words": TRIGGER_WORDS,
            "reason_words": REASON_WORDS,
            "failure_words": FAILURE_WORDS,
            "schedule_words": schedule_words,
            "short_schedule_words": short_schedule_words,
            "pretty": pretty,
            "clipped": clipped,
            "under_way": under_way,
            "page_url": page_url,
            "phase_bars": phase_bars,
            "viewer_zone": viewer_zone,
            "timedelta": timedelta,
            "zone_name": viewer_zone_name(),
        }


def csrf_field() -> Markup:
    """The hidden field that every form needs."""
    return Markup('<input type="hidden" name="{}" value="{}">').format(
        CSRF_FIELD, present_session().csrf_token
    )


def csrf_token() -> str:
    """The token of the session; empty where there is none to be had, so that pages can tell that Redis is away."""
    try:
        return present_session().csrf_token
    except TickSourceUnavailable:
        return ""


def chosen_theme() -> str | None:
    """The theme that the viewer chose; None = as the system has it."""
    wanted = request.cookies.get(THEME_COOKIE)
    return wanted if wanted in THEMES else None


def viewer_zone_name() -> str:
    """The viewer's time zone as the browser told it; UTC until then."""
    wanted = request.cookies.get(ZONE_COOKIE, "UTC")
    try:
        zone(wanted)
    except ValueError:
        return "UTC"
    return wanted


def viewer_zone() -> tzinfo:
    """The viewer's time zone."""
    return zone(viewer_zone_name())


def moment(value: datetime | None, *, milliseconds: bool = False) -> Markup:
    """A moment in the viewer's zone, its UTC on hover; a dash for None."""
    return moment_in(value, viewer_zone(), milliseconds=milliseconds, follows_viewer=True)


def moment_in(
    value: datetime | None, tz: tzinfo, *, milliseconds: bool = False, follows_viewer: bool = False
) -> Markup:
    """A moment in the zone `tz`, its UTC on hover. One that follows the viewer is mended by the page's script when
    the browser's zone is not known to the server yet."""
    if value is None:
        return Markup('<span class="quiet">–</span>')
    local = value.astimezone(tz)
    text = local.strftime("%Y-%m-%d %H:%M:%S") + (f".{local.microsecond // 1000:03}" if milliseconds else "")
    kind = ("ms" if milliseconds else "s") if follows_viewer else ""
    return Markup('<time datetime="{}" title="{}"{}>{}</time>').format(
        rfc3339(value),
        value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") + f".{value.microsecond // 1000:03} UTC",
        Markup(' data-local="{}"').format(kind) if kind else "",
        text,
    )


def clock(value: datetime, now: datetime | None = None) -> Markup:
    """The time of day in the viewer's zone, its UTC on hover; with the date when it is another day than `now`."""
    tz = viewer_zone()
    local = value.astimezone(tz)
    if now is not None and local.date() != now.astimezone(tz).date():
        return moment(value)
    return Markup('<time datetime="{}" title="{}" data-local="clock">{}</time>').format(
        rfc3339(value), value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"), local.strftime("%H:%M:%S")
    )


def day(value: datetime | None) -> Markup:
    """The date in the viewer's zone, the moment in UTC on hover; a dash for None."""
    if value is None:
        return Markup('<span class="quiet">–</span>')
    return Markup('<time datetime="{}" title="{}" data-local="day">{}</time>').format(
        rfc3339(value),
        value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        value.astimezone(viewer_zone()).date().isoformat(),
    )


def countdown(value: datetime | None) -> Markup:
    """How long until `value`, kept up to date by the page's script."""
    if value is None:
        return Markup('<span class="quiet">–</span>')
    return Markup('<span class="countdown" data-until="{}"></span>').format(rfc3339(value))


@lru_cache(maxsize=2048)
def schedule_words(schedule: Schedule) -> str:
    """A schedule as a sentence, without the full stop."""
    return describe(schedule).removesuffix(".")


def short_schedule_words(schedule: Schedule) -> str:
    """The same for a list: without the moment from which an interval counts."""
    return re.split(r", (?:counted from|starting at) ", schedule_words(schedule))[0]


def pretty(text: str | None) -> Markup:
    """A body as people like to read it: JSON indented, everything else as it is."""
    if not text:
        return Markup("")
    # What is no JSON is shown as it is.
    with suppress(ValueError, RecursionError):
        text = json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    return escape(clipped(text))


def clipped(text: str) -> str:
    """`text`, without what a page has no room for."""
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}\n…"


def under_way(execution: Execution) -> bool:
    """Whether something will still happen to `execution`."""
    return execution.status not in FINAL_STATUSES


def page_url(**changes: Any) -> str:
    """The present page with other query parameters; None and empty ones are left out."""
    arguments: dict[str, Any] = {
        name: values if len(values) > 1 else values[0] for name, values in request.args.lists()
    }
    merged = {**arguments, **changes}
    wanted = {name: value for name, value in merged.items() if value not in (None, "", [])}
    return url_for(request.endpoint or "dashboard.overview", **(request.view_args or {}), **wanted)
