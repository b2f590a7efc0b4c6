"""What the platform asks of MongoDB, through pymongo: the same on the embedded store and on a real server."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pymongo
import pytest
from bson import DatetimeMS, ObjectId
from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import (
    DeleteMany,
    DeleteOne,
    IndexModel,
    InsertOne,
    ReplaceOne,
    ReturnDocument,
    UpdateMany,
    UpdateOne,
)
from pymongo.database import Database
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure, WriteError

Db = Database[dict[str, Any]]
DAY = datetime(2026, 1, 1, tzinfo=UTC)


def ids(found: Any) -> list[Any]:
    return [document["_id"] for document in found]


def test_it_keeps_what_it_is_given(mongo_database: Db) -> None:
    document = {
        "_id": ObjectId(),
        "text": "é\0ü",
        "number": 5,
        "long": 2**40,
        "double": 1.5,
        "flag": True,
        "nothing": None,
        "at": DAY + timedelta(milliseconds=5),
        "bytes": b"\x00\xff",
        "list": [1, [2], {"a": 3}],
        "sub": {"z": 1, "a": {"b": []}},
    }
    mongo_database.things.insert_one(document)
    found = mongo_database.things.find_one({"_id": document["_id"]})
    assert found == document
    assert found is not None
    assert list(found) == list(document)


def test_moments_outside_the_years_of_python_survive(mongo_database: Db) -> None:
    options: CodecOptions[dict[str, Any]] = CodecOptions(
        tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_MS
    )
    things = mongo_database.get_collection("things", options)
    things.insert_one({"_id": 1, "at": DatetimeMS(2**60)})
    things.update_one({"_id": 1}, {"$set": {"n": 1}})
    assert things.find_one({"at": {"$gt": DAY}}) == {"_id": 1, "at": DatetimeMS(2**60), "n": 1}


def test_a_second_document_with_the_same_id_is_refused(mongo_database: Db) -> None:
    mongo_database.things.insert_one({"_id": "a"})
    with pytest.raises(DuplicateKeyError) as caught:
        mongo_database.things.insert_one({"_id": "a"})
    details = caught.value.details or {}
    assert details["keyPattern"] == {"_id": 1}
    assert details["keyValue"] == {"_id": "a"}
    assert details["errmsg"] == (
        f'E11000 duplicate key error collection: {mongo_database.name}.things index: _id_ dup key: {{ _id: "a" }}'
    )


def test_an_unordered_insert_goes_on_past_duplicates(mongo_database: Db) -> None:
    mongo_database.things.insert_one({"_id": 2})
    with pytest.raises(BulkWriteError) as caught:
        mongo_database.things.insert_many([{"_id": n} for n in (1, 2, 3, 2)], ordered=False)
    errors = (caught.value.details or {})["writeErrors"]
    assert [(error["index"], error["code"], error["op"]["_id"]) for error in errors] == [
        (1, 11000, 2),
        (3, 11000, 2),
    ]
    assert sorted(ids(mongo_database.things.find())) == [1, 2, 3]


def test_an_ordered_insert_stops_at_the_first_duplicate(mongo_database: Db) -> None:
    mongo_database.things.insert_one({"_id": 2})
    with pytest.raises(BulkWriteError):
        mongo_database.things.insert_many([{"_id": n} for n in (1, 2, 3)])
    assert sorted(ids(mongo_database.things.find())) == [1, 2]


def test_find_sorts_skips_limits_and_projects(mongo_database: Db) -> None:
    mongo_database.things.insert_many([{"_id": n, "a": n % 3, "b": {"c": n, "d": n}} for n in range(10)])
    found = (
        mongo_database.things.find({"a": {"$lt": 2}}, {"b.c": 1})
        .sort([("a", -1), ("_id", 1)])
        .skip(1)
        .limit(3)
    )
    assert list(found) == [{"_id": n, "b": {"c": n}} for n in (4, 7, 0)]


def test_a_long_result_comes_in_batches(mongo_database: Db) -> None:
    mongo_database.things.insert_many([{"_id": n} for n in range(1000)])
    assert ids(mongo_database.things.find().sort("_id", 1).batch_size(7)) == list(range(1000))
    assert ids(mongo_database.things.find().sort("_id", -1)) == list(range(999, -1, -1))
    assert ids(mongo_database.things.aggregate([{"$sort": {"_id": 1}}], batchSize=10)) == list(range(1000))


def test_a_result_of_big_documents_comes_in_replies_of_bounded_size(mongo_database: Db) -> None:
    for number in range(5):
        mongo_database.things.insert_one({"_id": number, "text": "x" * 9_000_000})
    assert ids(mongo_database.things.find().sort("_id", 1)) == [0, 1, 2, 3, 4]


def test_a_cursor_can_be_left_unfinished(mongo_database: Db) -> None:
    mongo_database.things.insert_many([{"_id": n} for n in range(500)])
    cursor = mongo_database.things.find(batch_size=2)
    next(cursor)
    cursor.close()
    with pytest.raises(OperationFailure) as caught:
        mongo_database.command({"getMore": 12345, "collection": "things"})
    assert caught.value.code == 43


def test_updates_tell_what_they_matched_and_changed(mongo_database: Db) -> None:
    things = mongo_database.things
    things.insert_many([{"_id": n, "a": 1} for n in range(3)])
    one = things.update_one({"a": 1}, {"$set": {"a": 2}})
    assert (one.matched_count, one.modified_count, one.upserted_id) == (1, 1, None)
    same = things.update_one({"a": 2}, {"$set": {"a": 2}})
    assert (same.matched_count, same.modified_count) == (1, 0)
    many = things.update_many({}, {"$set": {"a": 2}})
    assert (many.matched_count, many.modified_count) == (3, 2)
    none = things.update_one({"a": 7}, {"$set": {"a": 2}})
    assert (none.matched_count, none.modified_count) == (0, 0)


def test_an_upsert_inserts_once_and_updates_then(mongo_database: Db) -> None:
    things = mongo_database.things
    update = {"$inc": {"n": 1}, "$setOnInsert": {"born": DAY}}
    assert things.update_one({"_id": "x", "kind": "k"}, update, upsert=True).upserted_id == "x"
    assert things.update_one({"_id": "x", "kind": "k"}, update, upsert=True).upserted_id is None
    assert things.find_one() == {"_id": "x", "kind": "k", "born": DAY, "n": 2}


def test_a_guarded_update_happens_once(mongo_database: Db) -> None:
    things = mongo_database.things
    things.insert_one({"_id": 1, "status": "queued"})
    guard, change = {"_id": 1, "status": "queued"}, {"$set": {"status": "running"}}
    assert things.update_one(guard, change).modified_count == 1
    assert things.update_one(guard, change).matched_count == 0


def test_replacing_keeps_the_id(mongo_database: Db) -> None:
    things = mongo_database.things
    things.insert_one({"_id": 1, "a": 1, "b": 2})
    things.replace_one({"a": 1}, {"c": 3})
    assert things.find_one() == {"_id": 1, "c": 3}
    assert things.replace_one({"a": 9}, {"_id": 5, "d": 1}, upsert=True).upserted_id == 5


def test_find_one_and_update_shows_the_document_before_or_after(mongo_database: Db) -> None:
    things = mongo_database.things
    things.insert_many([{"_id": n, "a": n} for n in range(3)])
    before = things.find_one_and_update({}, {"$inc": {"a": 10}}, sort=[("a", -1)])
    assert before == {"_id": 2, "a": 2}
    after = things.find_one_and_update(
        {"_id": 2}, {"$set": {"b": 1}}, return_document=ReturnDocument.AFTER, projection={"b": 1, "_id": 0}
    )
    assert after == {"b": 1}
    assert things.find_one_and_update({"_id": 9}, {"$set": {"b": 1}}) is None
    made = things.find_one_and_update(
        {"_id": 9}, {"$set": {"b": 1}}, upsert=True, return_document=ReturnDocument.AFTER
    )
    assert made == {"_id": 9, "b": 1}
    assert things.find_one_and_replace({"_id": 9}, {"c": 1}, return_document=ReturnDocument.AFTER) == {
        "_id": 9,
        "c": 1,
    }
    assert things.find_one_and_delete({"_id": 9}) == {"_id": 9, "c": 1}
    assert things.find_one_and_delete({"_id": 9}) is None


def test_a_bulk_write_mixes_all_kinds(mongo_database: Db) -> None:
    result = mongo_database.things.bulk_write(
        [
            InsertOne({"_id": 1, "a": 1}),
            InsertOne({"_id": 2, "a": 1}),
            UpdateMany({"a": 1}, {"$set": {"b": 1}}),
            UpdateOne({"_id": 3}, {"$set": {"b": 2}}, upsert=True),
            ReplaceOne({"_id": 1}, {"c": 1}),
            DeleteOne({"b": 1}),
            DeleteMany({"b": 2}),
        ]
    )
    assert (result.inserted_count, result.matched_count, result.modified_count) == (2, 3, 3)
    assert (result.upserted_ids, result.deleted_count) == ({3: 3}, 2)
    assert list(mongo_database.things.find()) == [{"_id": 1, "c": 1}]


def test_a_failed_update_of_a_bulk_leaves_the_others(mongo_database: Db) -> None:
    mongo_database.things.insert_many([{"_id": 1, "n": 1}, {"_id": 2, "n": "x"}, {"_id": 3, "n": 1}])
    with pytest.raises(BulkWriteError) as caught:
        mongo_database.things.bulk_write(
            [UpdateOne({"_id": n}, {"$inc": {"n": 1}, "$set": {"done": True}}) for n in (1, 2, 3)],
            ordered=False,
        )
    details = caught.value.details or {}
    assert [(error["index"], error["code"]) for error in details["writeErrors"]] == [(1, 14)]
    assert list(mongo_database.things.find({"done": True}, {"_id": 1}).sort("_id", 1)) == [
        {"_id": 1},
        {"_id": 3},
    ]
    assert mongo_database.things.find_one({"_id": 2}) == {"_id": 2, "n": "x"}


def test_deletes_remove_the_first_or_all(mongo_database: Db) -> None:
    mongo_database.things.insert_many([{"_id": n, "a": n % 2} for n in range(10)])
    assert mongo_database.things.delete_one({"a": 0}).deleted_count == 1
    assert mongo_database.things.delete_many({"a": 0}).deleted_count == 4
    assert mongo_database.things.delete_many({}).deleted_count == 5
    assert mongo_database.things.count_documents({}) == 0


def test_it_counts_and_lists_distinct_values(mongo_database: Db) -> None:
    things = mongo_database.things
    things.insert_many([{"a": n % 3, "tags": ["x", n % 2]} for n in range(10)])
    assert things.count_documents({"a": 0}) == 4
    assert things.count_documents({"a": 0}, skip=1, limit=2) == 2
    assert things.estimated_document_count() == 10
    assert things.distinct("a", {"a": {"$gt": 0}}) == [1, 2]
    assert sorted(things.distinct("tags"), key=str) == [0, 1, "x"]


def test_it_groups_and_sums(mongo_database: Db) -> None:
    mongo_database.things.insert_many(
        [{"_id": n, "w": "ab"[n % 2], "n": n, "at": DAY + timedelta(minutes=n)} for n in range(6)]
    )
    found = mongo_database.things.aggregate(
        [
            {"$match": {"n": {"$gt": 0}}},
            {
                "$group": {
                    "_id": "$w",
                    "sum": {"$sum": "$n"},
                    "mean": {"$avg": "$n"},
                    "first": {"$min": "$at"},
                    "count": {"$sum": 1},
                }
            },
            {"$sort": {"sum": -1}},
            {"$limit": 1},
        ]
    )
    assert list(found) == [
        {"_id": "b", "sum": 9, "mean": 3.0, "first": DAY + timedelta(minutes=1), "count": 3}
    ]
    empty = [{"$match": {"n": 99}}, {"$group": {"_id": None, "n": {"$sum": 1}}}]
    assert list(mongo_database.things.aggregate(empty)) == []


def test_it_buckets_moments_by_arithmetic(mongo_database: Db) -> None:
    mongo_database.things.insert_many([{"at": DAY + timedelta(minutes=20 * n)} for n in range(6)])
    hour = {"$subtract": ["$at", {"$mod": [{"$toLong": "$at"}, 3_600_000]}]}
    found = mongo_database.things.aggregate(
        [{"$group": {"_id": hour, "n": {"$sum": 1}}}, {"$sort": {"_id": 1}}]
    )
    assert list(found) == [{"_id": DAY, "n": 3}, {"_id": DAY + timedelta(hours=1), "n": 3}]


def test_a_unique_index_holds_for_inserts_updates_and_upserts(mongo_database: Db) -> None:
    things = mongo_database.things
    things.create_index(
        [("owner", 1), ("key", 1)], unique=True, partialFilterExpression={"key": {"$type": "string"}}
    )
    things.insert_many(
        [{"_id": 1, "owner": "o", "key": "k"}, {"_id": 2, "owner": "o"}, {"_id": 3, "owner": "o"}]
    )
    with pytest.raises(DuplicateKeyError) as caught:
        things.insert_one({"_id": 4, "owner": "o", "key": "k"})
    assert (caught.value.details or {})["keyValue"] == {"owner": "o", "key": "k"}
    with pytest.raises(DuplicateKeyError):
        things.update_one({"_id": 2}, {"$set": {"key": "k"}})
    with pytest.raises(DuplicateKeyError):
        things.update_one({"_id": 9}, {"$set": {"owner": "o", "key": "k"}}, upsert=True)
    with pytest.raises(DuplicateKeyError):
        things.find_one_and_update({"_id": 3}, {"$set": {"key": "k"}})
    things.update_one({"_id": 1}, {"$unset": {"key": ""}})
    things.update_one({"_id": 2}, {"$set": {"key": "k"}})
    assert ids(things.find({"key": "k"})) == [2]


def test_a_unique_index_over_repeated_values_is_refused(mongo_database: Db) -> None:
    mongo_database.things.insert_many([{"a": 1}, {"a": 1}])
    with pytest.raises(DuplicateKeyError):
        mongo_database.things.create_index("a", unique=True)
    assert list(mongo_database.things.index_information()) == ["_id_"]


def test_declaring_indexes_again_changes_nothing(mongo_database: Db) -> None:
    models = [
        IndexModel([("a", 1), ("b", -1)], name="by_a"),
        IndexModel([("at", 1)], expireAfterSeconds=60, name="ttl"),
        IndexModel([("c", 1)], sparse=True, unique=True, name="by_c"),
    ]
    for _ in range(2):
        assert mongo_database.things.create_indexes(models) == ["by_a", "ttl", "by_c"]
    information = mongo_database.things.index_information()
    assert information["by_a"]["key"] == [("a", 1), ("b", -1)]
    assert information["ttl"]["expireAfterSeconds"] == 60
    assert (information["by_c"]["sparse"], information["by_c"]["unique"]) == (True, True)
    mongo_database.things.drop_index("by_a")
    assert sorted(mongo_database.things.index_information()) == ["_id_", "by_c", "ttl"]


@pytest.mark.parametrize(
    ("keys", "options"),
    [([("a", 1)], {"name": "i", "unique": True}), ([("b", 1)], {"name": "i"}), ([("a", 1)], {"name": "j"})],
)
def test_an_index_that_conflicts_with_one_is_refused(
    mongo_database: Db, keys: Any, options: dict[str, Any]
) -> None:
    mongo_database.things.create_index("a", name="i")
    with pytest.raises(OperationFailure) as caught:
        mongo_database.things.create_index(keys, **options)
    assert caught.value.code in (85, 86)


def test_it_finds_by_words_in_an_array(mongo_database: Db) -> None:
    things = mongo_database.things
    things.create_index([("owner", 1), ("words", 1)])
    things.insert_many([{"_id": n, "owner": n % 2, "words": ["weekly", f"w{n}"]} for n in range(20)])
    assert ids(things.find({"owner": 1, "words": {"$regex": "^w1"}}).sort("_id", 1)) == [
        1,
        11,
        13,
        15,
        17,
        19,
    ]
    things.update_one({"_id": 11}, {"$set": {"words": ["none"]}})
    assert things.count_documents({"owner": 1, "words": {"$regex": "^w1"}}) == 5
    assert things.count_documents({"owner": 1, "words": {"$all": ["weekly", "w13"]}}) == 1


def test_collections_and_databases_come_and_go(mongo_database: Db) -> None:
    mongo_database.create_collection("empty")
    mongo_database.things.insert_one({})
    assert sorted(mongo_database.list_collection_names()) == ["empty", "things"]
    assert mongo_database.name in mongo_database.client.list_database_names()
    mongo_database.drop_collection("things")
    mongo_database.drop_collection("never_there")
    assert mongo_database.list_collection_names() == ["empty"]
    assert mongo_database.things.find_one() is None
    mongo_database.client.drop_database(mongo_database.name)
    assert mongo_database.list_collection_names() == []


def test_an_unacknowledged_write_arrives(mongo_database: Db) -> None:
    loose = mongo_database.get_collection("things", write_concern=pymongo.WriteConcern(w=0))
    loose.insert_one({"_id": 1})
    strict = mongo_database.get_collection("things", write_concern=pymongo.WriteConcern(w="majority"))
    strict.insert_one({"_id": 2})
    assert strict.count_documents({"_id": 2}) == 1


def test_a_document_beyond_the_limit_is_refused(mongo_database: Db) -> None:
    things = mongo_database.things
    things.insert_one({"_id": 1, "a": "x" * 15_000_000})
    with pytest.raises((WriteError, OperationFailure)) as caught:
        things.update_one({"_id": 1}, {"$set": {"b": "x" * 2_000_000}})
    assert caught.value.code in (10334, 17419)
    things.update_one({"_id": 1}, {"$set": {"b": "x" * 1_500_000}})
    with pytest.raises((WriteError, OperationFailure)):
        things.update_one({"_id": 1}, {"$push": {"c": "x" * 400_000}})
    found = things.find_one({"_id": 1}, {"c": 1})
    assert found == {"_id": 1}


@pytest.mark.parametrize(
    ("update", "code"),
    [
        ({"$set": {"a": 1}, "$inc": {"a": 1}}, 40),
        ({"$set": {"_id": 2}}, 66),
        ({"$inc": {"text": 1}}, 14),
        ({"$inc": {"n": "x"}}, 14),
        ({"$set": {"n.b": 1}}, 28),
        ({"$push": {"n": 1}}, 2),
        ({"$foo": {"a": 1}}, 9),
    ],
    ids=str,
)
def test_wrong_updates_have_mongodbs_codes(mongo_database: Db, update: dict[str, Any], code: int) -> None:
    mongo_database.things.insert_one({"_id": 1, "n": 1, "text": "x"})
    with pytest.raises(WriteError) as caught:
        mongo_database.things.update_one({"_id": 1}, update)
    assert caught.value.code == code
    assert mongo_database.things.find_one() == {"_id": 1, "n": 1, "text": "x"}


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ({"nonsense": 1}, 59),
        ({"find": "things", "filter": {"$foo": 1}}, 2),
        ({"find": "things", "nonsense": 1}, 40415),
        ({"find": "things", "limit": -5}, 51024),
        ({"find": "things", "filter": 5}, 14),
        ({"aggregate": "things", "pipeline": [{"$foo": 1}], "cursor": {}}, 40324),
        ({"aggregate": "things", "pipeline": 5, "cursor": {}}, 14),
        ({"insert": "things"}, 40414),
        ({"insert": "", "documents": [{}]}, 73),
        ({"update": "things", "updates": [{"q": {}}]}, 40414),
        ({"listIndexes": "never_there"}, 26),
        ({"create": "things"}, 48),
    ],
    ids=str,
)
def test_wrong_commands_have_mongodbs_codes(mongo_database: Db, command: dict[str, Any], code: int) -> None:
    mongo_database.create_collection("things")
    with pytest.raises(OperationFailure) as caught:
        mongo_database.command(command)
    assert caught.value.code == code
