"""Nothing that can happen is without a word."""

import pytest

from webhookcron.core.executions import ExecutionStatus, Reason, Trigger
from webhookcron.core.outcomes import FailureKind
from webhookcron.dashboard import words


@pytest.mark.parametrize(
    ("table", "members"),
    [
        (words.STATUS_WORDS, ExecutionStatus),
        (words.TRIGGER_WORDS, Trigger),
        (words.REASON_WORDS, Reason),
        (words.FAILURE_WORDS, FailureKind),
    ],
)
def test_every_member_has_its_word(table: dict[str, str], members: type) -> None:
    assert set(table) == {member.value for member in members}
