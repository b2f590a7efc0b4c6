"""The body of error answers."""

from webhookcron.api.errors import MAX_ENTRIES, MAX_KEY_LENGTH, MAX_SENTENCE_LENGTH, error_answer


def test_the_body_has_four_parts() -> None:
    body, status, headers = error_answer(409, "no", {"json": {"key": ["taken"]}}, {"ETag": '"1"'})
    assert body == {
        "code": 409,
        "status": "Conflict",
        "message": "no",
        "errors": {"json": {"key": ["taken"]}},
    }
    assert (status, headers) == (409, {"ETag": '"1"'})


def test_nothing_from_outside_makes_it_long() -> None:
    errors = {"json": {"k" * 10_000 + str(n): ["s" * 10_000] * 1000 for n in range(1000)}}
    body, _, _ = error_answer(422, "no", errors)
    entries = body["errors"]["json"]
    assert len(entries) <= MAX_ENTRIES
    assert all(len(key) <= MAX_KEY_LENGTH for key in entries)
    assert all(len(s) <= MAX_SENTENCE_LENGTH for sentences in entries.values() for s in sentences)
