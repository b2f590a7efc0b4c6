"""Backups, restores, keys given up, executions pruned, schema versions."""

from __future__ import annotations

import gzip
import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from webhookcron.core.alerts import Alert, AlertEvent, Channel
from webhookcron.core.errors import SecretUnreadable
from webhookcron.core.request_spec import AuthSpec, AuthType, RequestSpec, SigningSecret
from webhookcron.delivery.secrets import SecretBox
from webhookcron.maintenance.backup import BackupUnreadable, back_up, restore, versions_added
from webhookcron.maintenance.pruning import prune
from webhookcron.maintenance.reencryption import reencrypt
from webhookcron.storage.alerts import AlertStore
from webhookcron.storage.indexes import ensure_indexes
from webhookcron.storage.jobs import JobStore
from webhookcron.storage.schema_version import Migration, NewerSchema, check_version, migrate, stored_version

OLD, NEW = "a-secret-key-for-tests-only", "another-secret-key-for-tests"


@pytest.fixture
def job(world: Any) -> Any:
    """A stored job with every kind of secret."""
    request = RequestSpec(
        url="https://example.com/hook",
        headers=(("X-Secret", "hush"),),
        secret_headers=("X-Secret",),
        auth=AuthSpec(type=AuthType.BEARER, token="hush"),
        signing_secrets=(SigningSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),),
    )
    job = replace(world.new_job(), request=request)
    world.jobs.create(job)
    world.show(job)
    return world.stored(job)


@pytest.fixture
def alert(world: Any) -> Alert:
    alert = Alert(
        id="0" * 24,
        owner_id="ann",
        name="on call",
        channel=Channel.WEBHOOK,
        url="https://example.com/alerts",
        signing_secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        events=frozenset({AlertEvent.FAILURE}),
        created_at=world.at(0),
        updated_at=world.at(0),
    )
    AlertStore(world.database, SecretBox([OLD])).create(alert)
    return alert


@pytest.fixture(params=["backup.jsonl", "backup.jsonl.gz"])
def file(request: Any, tmp_path: Path) -> Path:
    return tmp_path / request.param


def wipe(world: Any) -> None:
    for name in world.database.list_collection_names():
        world.database[name].delete_many({})
    world.redis.flushdb()


# --- backup and restore


def test_what_was_backed_up_comes_back(world: Any, job: Any, alert: Alert, file: Path) -> None:
    world.database["users"].insert_one({"_id": "ann", "role": "member", "createdAt": world.at(0)})
    counts = back_up(world.database, file, now=world.at(10))
    assert counts == {"users": 1, "alerts": 1, "jobs": 1}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    wipe(world)
    done = restore(world.database, file, now=world.at(20))
    assert (done.written.total(), done.kept.total()) == (3, 0)
    assert world.stored(job) == replace(job, version=job.version + versions_added(world.at(20)))
    assert AlertStore(world.database, SecretBox([OLD])).get(alert.id, owner_id="ann") == alert
    assert world.database["users"].find_one({"_id": "ann"})["createdAt"] == world.at(0)


def test_a_machine_whose_clock_is_ahead_restores_jobs_that_fire_at_once(
    world: Any, job: Any, file: Path
) -> None:
    back_up(world.database, file, now=world.at(10))
    wipe(world)
    restore(world.database, file, now=world.at(7_200))
    world.sweep(world.at(21))
    world.tick(world.at(60))
    assert world.found(job) == {60: "queued"}


def test_a_restored_job_fires_again(world: Any, job: Any, file: Path) -> None:
    back_up(world.database, file, now=world.at(10))
    wipe(world)
    restore(world.database, file, now=world.at(20))
    world.sweep(world.at(21))
    world.tick(world.at(60))
    assert world.found(job) == {60: "queued"}


def test_a_restored_job_fires_although_the_mirror_remembers_its_removal(
    world: Any, job: Any, file: Path
) -> None:
    back_up(world.database, file, now=world.at(10))
    world.source.remove([(job.id, job.version + 5)])
    world.database["jobs"].delete_many({})
    restore(world.database, file, now=world.at(20))
    world.sweep(world.at(21))
    assert world.mirrored(world.stored(job))[1] == 60


def test_the_same_backup_may_be_restored_again_after_its_jobs_were_changed_and_deleted(
    world: Any, job: Any, file: Path
) -> None:
    back_up(world.database, file, now=world.at(10))
    wipe(world)
    restore(world.database, file, now=world.at(20))
    restored = world.stored(job)
    world.show(restored)
    # Somebody went on from there, and deleted the job in the end.
    world.jobs.delete(job.id, expected_version=restored.version)
    world.source.remove([(job.id, restored.version + 3)])
    restore(world.database, file, now=world.at(30))
    world.sweep(world.at(31))
    assert world.mirrored(world.stored(job))[1] == 60


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_another_document_stands_in_the_way_of_is_named_and_the_rest_is_written(
    world: Any, job: Any, file: Path, overwrite: bool
) -> None:
    ensure_indexes(world.database)
    users = world.database["users"]
    users.insert_many(
        [{"_id": "ann", "email": "ann@example.com"}, {"_id": "bob", "email": "bob@example.com"}]
    )
    back_up(world.database, file, now=world.at(10))
    wipe(world)
    users.insert_one({"_id": "other", "email": "ann@example.com"})
    done = restore(world.database, file, now=world.at(20), overwrite=overwrite)
    assert done.refused == ["users/ann"]
    assert done.written["users"] == 1
    assert done.written["jobs"] == 1
    assert done.kept.total() == 0
    assert {user["_id"] for user in users.find()} == {"bob", "other"}


def test_fire_times_since_the_backup_are_missed_ones_unless_they_are_passed_over(
    world: Any, job: Any, file: Path
) -> None:
    back_up(world.database, file, now=world.at(10))
    wipe(world)
    restore(world.database, file, now=world.at(3_600), from_now=True)
    assert world.stored(job).handled_through == world.at(3_600)
    restore(world.database, file, now=world.at(3_600), overwrite=True)
    assert world.stored(job).handled_through == job.handled_through


def test_what_is_there_stays_unless_it_is_to_be_overwritten(world: Any, job: Any, file: Path) -> None:
    back_up(world.database, file, now=world.at(10))
    world.database["jobs"].update_one({"_id": job.id}, {"$set": {"name": "changed"}})
    assert restore(world.database, file, now=world.at(20)).kept == {"jobs": 1}
    assert world.stored(job).name == "changed"
    restore(world.database, file, now=world.at(20), overwrite=True)
    assert world.stored(job).name == job.name


def test_secrets_are_not_readable_in_a_backup(world: Any, job: Any, tmp_path: Path) -> None:
    file = tmp_path / "backup.jsonl"
    back_up(world.database, file, now=world.at(10))
    assert "hush" not in file.read_text()


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: lines[:-1],
        lambda lines: lines[:1] + lines[2:],
        lambda lines: lines[1:],
        lambda lines: [*lines, lines[1]],
        lambda lines: [lines[0].replace('"webhookcronBackup"', '"other"'), *lines[1:]],
        lambda lines: ["{", *lines],
        lambda lines: [],
    ],
)
def test_a_damaged_backup_is_refused_before_anything_is_written(
    world: Any, job: Any, tmp_path: Path, damage: Any
) -> None:
    file = tmp_path / "backup.jsonl"
    back_up(world.database, file, now=world.at(10))
    file.write_text("\n".join(damage(file.read_text().splitlines())))
    wipe(world)
    with pytest.raises(BackupUnreadable):
        restore(world.database, file, now=world.at(20))
    assert world.database["jobs"].count_documents({}) == 0


def test_a_compressed_backup_that_was_cut_off_is_refused(world: Any, job: Any, tmp_path: Path) -> None:
    file = tmp_path / "backup.jsonl.gz"
    back_up(world.database, file, now=world.at(10))
    assert gzip.decompress(file.read_bytes())
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(BackupUnreadable):
        restore(world.database, file, now=world.at(20))


def test_a_backup_that_breaks_off_leaves_the_one_before(world: Any, job: Any, tmp_path: Path) -> None:
    file = tmp_path / "backup.jsonl"
    back_up(world.database, file, now=world.at(10))
    before = file.read_bytes()

    def stop(_name: str, _count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        back_up(world.database, file, now=world.at(20), progress=stop)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


# --- keys


def test_an_old_key_can_be_given_up_after_everything_was_sealed_anew(
    world: Any, job: Any, alert: Alert
) -> None:
    done = reencrypt(world.database, (NEW, OLD))
    assert (done.documents, done.rewritten, done.unreadable) == (2, 2, [])
    assert JobStore(world.database, SecretBox([NEW])).get(job.id, owner_id=None) == job
    assert AlertStore(world.database, SecretBox([NEW])).get(alert.id, owner_id=None) == alert
    with pytest.raises(SecretUnreadable):
        world.stored(job)
    assert reencrypt(world.database, (NEW,)).rewritten == 0


def test_what_no_key_opens_is_named_and_left_alone(world: Any, job: Any, alert: Alert) -> None:
    done = reencrypt(world.database, (NEW,))
    assert done.unreadable == [f"jobs/{job.id}", f"alerts/{alert.id}"]
    assert world.stored(job) == job


# --- pruning


def test_old_executions_are_removed_failed_ones_later(world: Any, job: Any) -> None:
    executions = world.database["executions"]

    def add(seconds: int, status: str, days_ago: float, **more: Any) -> str:
        execution_id = f"{job.id}:{seconds}"
        executions.insert_one(
            {
                "_id": execution_id,
                "jobId": job.id,
                "status": status,
                "scheduledAt": world.at(-1000),
                "completedAt": world.at(0) - timedelta(days=days_ago),
                **more,
            }
        )
        return execution_id

    gone = [add(1, "success", 8), add(2, "failed", 22), add(3, "skipped", 9)]
    kept = [
        add(4, "success", 6),
        add(5, "failed", 20),
        add(6, "queued", 99),
        add(7, "success", 99, counted=False),
        add(8, "success", 99),
    ]
    executions.update_one({"_id": kept[-1]}, {"$set": {"scheduledAt": world.at(10_000)}})
    options: dict[str, Any] = {"now": world.at(0), "older_than": timedelta(days=7), "failures_kept": 3}
    assert prune(world.database, **options, job_id="f" * 24).looked_at == 0
    assert prune(world.database, **options, dry_run=True).removed == len(gone)
    assert prune(world.database, **options, job_id=job.id).removed == len(gone)
    assert sorted(document["_id"] for document in executions.find()) == sorted(kept)


def test_a_job_with_a_retention_of_its_own_keeps_to_it(world: Any) -> None:
    own, other = world.job(retention_days=365), world.job()
    for job in (own, other):
        world.database["executions"].insert_one(
            {
                "_id": f"{job.id}:1",
                "jobId": job.id,
                "status": "success",
                "scheduledAt": world.at(-1000),
                "completedAt": world.at(0) - timedelta(days=40),
            }
        )
    options: dict[str, Any] = {"now": world.at(0), "older_than": timedelta(days=30), "failures_kept": 1}
    assert prune(world.database, **options, of_jobs=True).removed == 1
    assert [document["jobId"] for document in world.database["executions"].find()] == [own.id]
    assert prune(world.database, **options).removed == 1


# --- schema versions


def test_a_new_database_gets_the_present_version(world: Any) -> None:
    assert migrate(world.database, now=world.at(0)) == []
    assert migrate(world.database, now=world.at(1)) == []
    stored = stored_version(world.database)
    assert stored is not None
    assert (stored.version, stored.readable_from) == (1, 1)
    check_version(world.database)


def test_steps_are_taken_in_order_once_and_again_after_one_died(world: Any) -> None:
    taken: list[str] = []

    def step(version: int, *, dies: bool = False) -> Migration:
        def apply(_database: Any) -> None:
            if dies:
                raise ConnectionError
            taken.append(f"to {version}")

        return Migration(version, f"to {version}", apply)

    with pytest.raises(ConnectionError):
        migrate(world.database, now=world.at(0), migrations=(step(2), step(3, dies=True)), current=3)
    stored = stored_version(world.database)
    assert stored is not None
    assert stored.version == 2
    done = migrate(world.database, now=world.at(0), migrations=(step(2), step(3)), current=3, readable_from=2)
    assert (done, taken) == (["to 3"], ["to 2", "to 3"])
    with pytest.raises(NewerSchema):
        check_version(world.database)
    with pytest.raises(NewerSchema):
        migrate(world.database, now=world.at(0))
