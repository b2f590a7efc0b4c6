"""Requests that are made once, however often they are sent: the same Idempotency-Key, the same answer."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from webhookcron.core.errors import StoreUnavailable, TickSourceUnavailable, WebhookcronError
from webhookcron.core.executions import Execution, request_key
from webhookcron.service.errors import KeyReused
from webhookcron.service.principals import Principal
from webhookcron.storage.creations import Creation, CreationStore
from webhookcron.storage.executions import ExecutionStore

REMEMBERED_FOR = timedelta(hours=24)
"""How long a request with an Idempotency-Key is known again."""


class OnceOnly:
    """Remembers requests. Every method may raise StoreUnavailable, and KeyReused for another request under a key."""

    def __init__(self, creations: CreationStore, executions: ExecutionStore) -> None:
        self._creations = creations
        self._executions = executions

    def begin(
        self, key: str, operation: str, values: Mapping[str, Any], job_id: str, *, now: datetime
    ) -> Creation:
        """Remember that `key` asks for `operation` with `values`; what was remembered, when it was asked before."""
        request = digest_of({"operation": operation, **values})
        creation = self._creations.begin(key, request, job_id, now=now, expire_at=now + REMEMBERED_FOR)
        if creation.request != request:
            raise KeyReused
        return creation

    def known(self, key: str, operation: str, values: Mapping[str, Any], *, now: datetime) -> Creation | None:
        """What was remembered of this request; None when it was not made before."""
        creation = self._creations.find(key, now)
        if creation is not None and creation.request != digest_of({"operation": operation, **values}):
            raise KeyReused
        return creation

    def forget(self, key: str) -> None:
        """The request cannot be carried out: the key may ask for something else."""
        self._creations.forget(key)

    def finish(self, key: str) -> None:
        """The request is carried out."""
        self._creations.finish(key)

    def executions(
        self,
        principal: Principal,
        idempotency_key: str | None,
        operation: str,
        values: Mapping[str, Any],
        make: Callable[[str], list[Execution]],
        *,
        now: datetime,
    ) -> list[Execution]:
        """What `make` makes with what tells the request apart; when it made them before, those that are still there.

        `make` gives executions ids that follow from its argument, so that after a crash in between the same ones are
        made again. What it refuses is not remembered.
        """
        if idempotency_key is None:
            return make(secrets.token_hex(12))
        key = request_key(principal.user_id, idempotency_key)
        creation = self.begin(key, operation, values, "", now=now)
        if creation.done:
            found = {execution.id: execution for execution in self._executions.get_many(creation.made)}
            return [found[id_] for id_ in creation.made if id_ in found]
        try:
            made = make(key)
        except (StoreUnavailable, TickSourceUnavailable):
            raise  # Some may be made: repeating the request makes the rest.
        except WebhookcronError:
            self._creations.forget(key)
            raise
        self._creations.finish(key, [execution.id for execution in made])
        return made


def digest_of(values: Mapping[str, Any]) -> str:
    """What tells requests apart: the same values have the same digest."""
    text = json.dumps(values, sort_keys=True, default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
