"""Addresses of lists as queries: whatever people write into them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhookcron.core.zones import zone
from webhookcron.dashboard.job_filters import job_query
from webhookcron.dashboard.log_filters import log_query

BERLIN = zone("Europe/Berlin")
TEXT = st.text(max_size=40)
ANY = st.dictionaries(
    st.sampled_from(["page", "sort", "status", "type", "tag", "q", "trigger", "job", "from", "to", "after"]),
    TEXT,
)


def test_known_words_become_a_query_of_jobs() -> None:
    query = job_query({"status": "paused", "type": "cron", "tag": "ops", "page": "3", "sort": "name"})
    assert (query.statuses, query.schedule_type, query.page) == (("paused",), "cron", 3)
    assert query.sort == (("name", 1),)


@pytest.mark.parametrize(
    ("status", "expected"), [("failures", ("failed", "timeout")), ("skipped", ("skipped",))]
)
def test_statuses_of_executions_can_be_asked_for_in_groups(status: str, expected: tuple[str, ...]) -> None:
    assert log_query({"status": status}, BERLIN).statuses == expected


def test_moments_are_wall_times_of_the_viewer() -> None:
    query = log_query({"from": "2030-07-01T11:00"}, BERLIN)
    assert query.scheduled_from == datetime(2030, 7, 1, 9, tzinfo=UTC)


@given(ANY)
def test_nonsense_is_left_out_and_never_fails(arguments: dict[str, str]) -> None:
    assert job_query(arguments).page >= 1
    query = log_query(arguments, BERLIN)
    assert query.job_id is None or len(query.job_id) == 24
    for moment in (query.scheduled_from, query.scheduled_to):
        if moment is not None:
            moment.astimezone(UTC)
