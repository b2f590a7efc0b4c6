"""Old and new processes on the same stores during an upgrade."""

from __future__ import annotations

from typing import Any

from webhookcron.delivery.transport_types import HttpResult


def test_what_a_newer_release_adds_to_documents_survives_an_older_one(world: Any) -> None:
    job = world.job()
    jobs, executions = world.database["jobs"], world.database["executions"]
    jobs.update_one({"_id": job.id}, {"$set": {"ofTomorrow": {"deep": 1}}})
    world.tick(world.at(60))
    executions.update_many({}, {"$set": {"ofTomorrow": [1]}})
    world.deliver(world.at(60), result=HttpResult(status=200))
    world.jobs.update(world.stored(job), expected_version=job.version)
    world.sweep(world.at(120))

    assert world.found(job) == {60: "success"}
    assert jobs.find_one({"_id": job.id})["ofTomorrow"] == {"deep": 1}
    assert executions.find_one({"jobId": job.id})["ofTomorrow"] == [1]


def test_a_mirror_entry_in_the_form_of_another_release_is_made_anew_and_fires(world: Any) -> None:
    job = world.job()
    world.redis.hset("wc:{0}:jobs", job.id, "2|of|another|form")
    world.tick(world.at(60))
    assert world.found(job) == {60: "queued"}
