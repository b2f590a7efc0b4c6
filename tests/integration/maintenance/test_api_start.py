"""An API that cannot start says why in a line, and ends."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

from pymongo.database import Database


def test_an_api_of_an_older_release_does_not_start_on_a_newer_database_and_says_so(
    mongodb_uri: str, redis_url: str, redis_client: Any, mongo_database: Database[Any]
) -> None:
    mongo_database["meta"].insert_one({"_id": "schema", "version": 99, "readableFrom": 99})
    ended = subprocess.run(
        [sys.executable, "-m", "webhookcron", "api", "--port", "0", "--workers", "1"],
        env={
            "PATH": os.environ["PATH"],
            "MONGODB_URI": f"{mongodb_uri.rstrip('/')}/{mongo_database.name}",
            "REDIS_URL": redis_url,
            "WEBHOOKCRON_SECRET_KEY": "a-secret-key-for-tests-only",
        },
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stderr.count("the database is of schema version 99") == 1
    assert ended.stderr.splitlines()[-1].startswith("error: the API could not start")
