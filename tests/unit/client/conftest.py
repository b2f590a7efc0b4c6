"""An API that answers from a script, without sockets."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter

from webhookcron.client.api import ApiClient
from webhookcron.client.settings import ClientSettings


class ScriptedApi(BaseAdapter):
    """Answers each request with the next of `answers`: (status, JSON body or bytes, headers), or an exception."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[Any] = []
        self.requests: list[requests.PreparedRequest] = []

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, body, *headers = answer
        response = requests.Response()
        response.status_code = status
        response.reason = "Reason"
        response.request = request
        response.url = str(request.url)
        response.headers.update(headers[0] if headers else {})
        response.raw = io.BytesIO(body if isinstance(body, bytes) else json.dumps(body).encode())
        return response

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def script() -> ScriptedApi:
    return ScriptedApi()


@pytest.fixture
def slept() -> list[float]:
    """How long the client slept, in seconds, instead of sleeping."""
    return []


@pytest.fixture
def api(script: ScriptedApi, slept: list[float]) -> Iterator[ApiClient]:
    session = requests.Session()
    session.mount("http://", script)
    settings = ClientSettings(api_url="http://api.test", api_key="whk_k")
    with ApiClient(settings, session=session, sleep=slept.append, rng=random.Random(1)) as client:
        yield client


@pytest.fixture
def job() -> Callable[..., dict[str, Any]]:
    """Makes a job as lists show it, with what matters here."""

    def make(number: int, **fields: Any) -> dict[str, Any]:
        return {"id": f"{number:024x}", "key": None, "name": f"job {number}", "ownerId": "me", **fields}

    return make
