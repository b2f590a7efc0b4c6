"""Whose resources a caller sees."""

from __future__ import annotations

from webhookcron.service.platform import Platform
from webhookcron.service.principals import Principal
from webhookcron.storage.users import UserStore


class Owners:
    """Names the owners whose jobs and logs a caller may see, so that every list is walked by owner in an index."""

    def __init__(self, platform: Platform) -> None:
        self._users = UserStore(platform.database)

    def visible_to(self, principal: Principal) -> tuple[str, ...]:
        """The ids: the caller's own, or those of all accounts there are and were. Raises StoreUnavailable."""
        owner_id = principal.owner_filter
        return self._users.ids_ever() if owner_id is None else (owner_id,)
