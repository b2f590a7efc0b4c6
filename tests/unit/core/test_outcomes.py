"""The closed list of failures: which may be tried again, and which disables the job."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from webhookcron.core.outcomes import SUCCESS, Failure, FailureKind, Outcome, OutcomeStatus

PERMANENT = {"blocked", "certificate", "redirect", "bad_status", "gone", "oauth_refused", "invalid_request"}


@pytest.mark.parametrize("kind", list(FailureKind))
def test_each_kind_is_either_permanent_or_retryable(kind: FailureKind) -> None:
    assert kind.permanent == (kind.value in PERMANENT)
    assert kind.retryable != kind.permanent


@pytest.mark.parametrize("kind", list(FailureKind))
def test_each_kind_has_a_sentence_in_the_documentation(kind: FailureKind) -> None:
    assert FailureKind.__doc__ is not None
    assert any(line.split()[:1] == [kind.value] for line in FailureKind.__doc__.splitlines())


def test_the_documentation_lists_every_kind_and_says_whether_it_is_tried_again() -> None:
    text = (Path(__file__).parents[3] / "docs" / "delivery.md").read_text()
    listed = re.findall(r"^\| `([a-z_]+)` \| (yes|no) \|", text, re.MULTILINE)
    assert listed == [(kind.value, "yes" if kind.retryable else "no") for kind in FailureKind]


def test_a_passed_deadline_has_a_status_of_its_own() -> None:
    outcome = Outcome.of_failure(Failure(FailureKind.TIMEOUT, "late"))
    assert outcome.status is OutcomeStatus.TIMEOUT
    assert outcome.retryable


def test_any_other_failure_is_failed() -> None:
    assert Outcome.of_failure(Failure(FailureKind.RESET, "cut")).status is OutcomeStatus.FAILED


def test_only_gone_disables_the_job() -> None:
    disabling = [kind for kind in FailureKind if Outcome.of_failure(Failure(kind, "")).disables_job]
    assert disabling == [FailureKind.GONE]


def test_success_is_neither_retryable_nor_disabling() -> None:
    assert SUCCESS.succeeded
    assert not SUCCESS.retryable
    assert not SUCCESS.disables_job
