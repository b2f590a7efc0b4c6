"""The policies of a definition: from the fields a user gives to checked Policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from webhookcron.core.jobs import MisfirePolicy, OverlapPolicy, Policies
from webhookcron.core.retries import DEFAULT_DELAYS_MS, DEFAULT_RETRIES, Backoff, RetryPolicy
from webhookcron.core.schedules import ScheduleType
from webhookcron.service.errors import FieldErrors

DEFAULTS = Policies()


def policies_from_fields(
    values: Mapping[str, Any], schedule_type: ScheduleType | None, errors: FieldErrors
) -> Policies | None:
    """The policies of `values`; None when something was wrong, which `errors` then tells.

    Fields that are absent or None have their defaults.
    """
    given = {name: value for name, value in values.items() if value is not None}
    retry = _retry_policy(given, errors)
    max_runs = given.get("max_runs")
    if max_runs is not None and schedule_type is ScheduleType.ONCE:
        errors.add("max_runs", "a schedule of type once fires once: leave maxRuns out")
    if retry is None:
        return None
    return Policies(
        retry=retry,
        misfire_policy=MisfirePolicy(given.get("misfire_policy", DEFAULTS.misfire_policy)),
        misfire_grace_ms=given.get("misfire_grace_ms", DEFAULTS.misfire_grace_ms),
        catch_up_limit=given.get("catch_up_limit", DEFAULTS.catch_up_limit),
        overlap_policy=OverlapPolicy(given.get("overlap_policy", DEFAULTS.overlap_policy)),
        jitter_ms=given.get("jitter_ms", DEFAULTS.jitter_ms),
        max_runs=max_runs,
        disable_after_failures=given.get("disable_after_failures", DEFAULTS.disable_after_failures),
        delete_after_completion=given.get("delete_after_completion", DEFAULTS.delete_after_completion),
        retention_days=given.get("retention_days"),
    )


def _retry_policy(given: Mapping[str, Any], errors: FieldErrors) -> RetryPolicy | None:
    delays, first_delay = given.get("retry_delays_ms"), given.get("retry_delay_ms")
    if delays is not None and first_delay is not None:
        errors.add("retry_delays_ms", "does not go together with retryDelayMs: give only one")
        return None
    backoff = Backoff(given.get("retry_backoff", Backoff.FIXED))
    if first_delay is None:
        for name, present in (
            ("retry_backoff", backoff is not Backoff.FIXED),
            ("retry_max_delay_ms", "retry_max_delay_ms" in given),
        ):
            if present:
                errors.add(name, "needs retryDelayMs, the first delay of the curve")
                return None
    try:
        return RetryPolicy(
            max_retries=given.get("max_retries", DEFAULT_RETRIES),
            retry_delays_ms=None if delays is None or tuple(delays) == DEFAULT_DELAYS_MS else tuple(delays),
            retry_delay_ms=first_delay,
            retry_backoff=backoff,
            retry_max_delay_ms=given.get("retry_max_delay_ms"),
        )
    except ValueError as error:
        errors.add("retry_delays_ms" if delays is not None else "retry_delay_ms", error)
        return None
