from typing import Any

import jsonschema
import pytest

from webhookcron.manifests.definitions import FIELDS
from webhookcron.manifests.json_schema import manifest_schema

JOB = {"key": "a", "name": "A", "cronExpression": "0 9 * * *", "webhookUrl": "https://example.com/"}


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft7Validator:
    schema = manifest_schema()
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def test_it_describes_every_field_of_a_job() -> None:
    job = manifest_schema()["properties"]["jobs"]["items"]

    assert set(job["properties"]) == {"key", *FIELDS}
    assert all("description" in field for name, field in job["properties"].items() if name != "isActive")


@pytest.mark.parametrize(
    "job",
    [
        JOB,
        {**JOB, "description": None, "tags": ["a"], "payload": {"any": [1]}, "runAt": "2030-01-01T09:00:00"},
        {**JOB, "auth": {"type": "bearer", "token": "${env:TOKEN}"}, "headers": {"X-A": "b"}},
        # The rest may come from the defaults.
        {"key": "a"},
    ],
)
def test_good_jobs_pass(validator: jsonschema.Draft7Validator, job: dict[str, Any]) -> None:
    validator.validate({"defaults": {"timezone": "UTC"}, "jobs": [job]})


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"jobs": [{}]},
        {"jobs": [{**JOB, "cronExpresion": "x"}]},
        {"jobs": [{**JOB, "delayMs": 5}]},
        {"jobs": [{**JOB, "key": "two words"}]},
        {"jobs": [{**JOB, "maxRetries": "3"}]},
        {"jobs": [{**JOB, "interval": "fortnight"}]},
        {"jobs": [{**JOB, "auth": {"token": "x"}}]},
        {"jobs": [{**JOB, "headers": {"A": 1}}]},
        {"jobs": [JOB], "defaults": {"key": "a"}},
        {"jobs": [JOB], "other": 1},
    ],
)
def test_mistakes_are_found(validator: jsonschema.Draft7Validator, content: dict[str, Any]) -> None:
    assert not validator.is_valid(content)
