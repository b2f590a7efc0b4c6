from collections.abc import Callable
from typing import Any

import pytest

from webhookcron.client.api import ApiClient
from webhookcron.client.errors import NoSuchJob
from webhookcron.client.jobs import find_job, own_jobs_by_key

MakeJob = Callable[..., dict[str, Any]]

NOT_FOUND = (404, {"code": 404, "message": "there is no such resource", "errors": {}})


def listed(*jobs: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return 200, {"items": list(jobs), "total": len(jobs)}


def test_an_id_is_asked_for_directly(api: ApiClient, script: Any, job: MakeJob) -> None:
    script.answers = [(200, job(1))]

    assert find_job(api, job(1)["id"])["name"] == "job 1"


def test_a_key_is_found_before_a_name(api: ApiClient, script: Any, job: MakeJob) -> None:
    script.answers = [listed(job(1, key="report"))]

    assert find_job(api, "report")["key"] == "report"
    assert "key=report" in script.requests[0].url


def test_a_name_is_found_whatever_its_case(api: ApiClient, script: Any, job: MakeJob) -> None:
    script.answers = [listed(job(1, name="Weekly report"), job(2))]

    assert find_job(api, "weekly REPORT")["id"] == job(1)["id"]


def test_a_name_that_several_jobs_have_asks_for_an_id(api: ApiClient, script: Any, job: MakeJob) -> None:
    script.answers = [listed(job(1, name="Weekly report"), job(2, name="Weekly report"))]

    with pytest.raises(NoSuchJob, match=f"2 jobs are called .*{job(1)['id']}, {job(2)['id']}"):
        find_job(api, "Weekly report")


def test_a_typing_error_is_answered_by_what_may_be_meant(api: ApiClient, script: Any, job: MakeJob) -> None:
    script.answers = [listed(), listed(job(1, name="Weekly report", key="weekly-report"), job(2))]

    with pytest.raises(NoSuchJob, match="did you mean 'weekly-report'"):
        find_job(api, "weakly-report")


def test_an_id_of_no_job_may_still_be_a_name(api: ApiClient, script: Any, job: MakeJob) -> None:
    hexadecimal = "a" * 24
    script.answers = [NOT_FOUND, listed(), listed(job(1, name=hexadecimal))]

    assert find_job(api, hexadecimal)["id"] == job(1)["id"]


def test_jobs_of_others_are_left_out_where_the_api_says_whose_key_it_is(
    api: ApiClient, script: Any, job: MakeJob
) -> None:
    script.answers = [
        (200, {"user": {"id": "me"}}),
        listed(job(1, key="a"), job(2, key="a", ownerId="other"), job(3)),
    ]

    assert own_jobs_by_key(api) == {"a": job(1, key="a")}


def test_keys_of_several_users_that_cannot_be_told_apart_are_refused(
    api: ApiClient, script: Any, job: MakeJob
) -> None:
    script.answers = [NOT_FOUND, listed(job(1, key="a"), job(2, key="a", ownerId="other"))]

    with pytest.raises(NoSuchJob, match="several users have a job with the key 'a'"):
        own_jobs_by_key(api)
