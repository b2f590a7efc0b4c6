from __future__ import annotations

import re

import pytest

from webhookcron.core.trace_context import TraceContext

EXECUTIONS = [f"6650c0ffee0123456789abcd:{1_767_225_600_000 + number * 60_000}" for number in range(4_000)]


def test_every_process_finds_the_same_trace_for_an_execution() -> None:
    # The ids are part of the contract between releases: old and new processes must agree about a trace.
    context = TraceContext.of_fire("6650c0ffee0123456789abcd:1767225600000", 1)
    assert context.traceparent == "00-dfe0225d9dfa2ba0568e54820ebe1d65-5c15b497a81f10aa-01"


def test_executions_have_traces_of_their_own() -> None:
    contexts = [TraceContext.of_fire(execution_id, 1) for execution_id in EXECUTIONS]
    assert len({context.trace_id for context in contexts}) == len(EXECUTIONS)
    assert len({context.span_id for context in contexts}) == len(EXECUTIONS)


@pytest.mark.parametrize("ratio", [0.0, 0.01, 0.25, 0.9, 1.0])
def test_the_wanted_part_of_all_executions_is_sampled(ratio: float) -> None:
    sampled = sum(TraceContext.of_fire(execution_id, ratio).sampled for execution_id in EXECUTIONS)
    # Four standard deviations of a binomial distribution; the ids are fixed, so this cannot waver.
    allowed = 4 * (len(EXECUTIONS) * ratio * (1 - ratio)) ** 0.5
    assert abs(sampled - len(EXECUTIONS) * ratio) <= allowed


def test_what_a_small_ratio_samples_a_larger_one_does_too() -> None:
    few, many = ({e for e in EXECUTIONS if TraceContext.of_fire(e, ratio).sampled} for ratio in (0.1, 0.5))
    assert few < many


def test_the_header_has_the_form_of_the_standard_and_is_read_back() -> None:
    for ratio in (0, 1):
        context = TraceContext.of_fire(EXECUTIONS[0], ratio).child(7)
        assert re.fullmatch(r"00-[0-9a-f]{32}-0000000000000007-0[01]", context.traceparent)
        assert TraceContext.parse(context.traceparent) == context


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00-d376a26556bee5bf9cadf1c08bd3a9df-0c45b1f3ff4d8f21",
        "01-d376a26556bee5bf9cadf1c08bd3a9df-0c45b1f3ff4d8f21-01",
        "00-D376A26556BEE5BF9CADF1C08BD3A9DF-0c45b1f3ff4d8f21-01",
        "00-00000000000000000000000000000000-0c45b1f3ff4d8f21-01",
        "00-d376a26556bee5bf9cadf1c08bd3a9df-0000000000000000-01",
        "00-d376a26556bee5bf9cadf1c08bd3a9df-0c45b1f3ff4d8f21-01\n",
    ],
)
def test_what_is_no_traceparent_is_not_read(text: str) -> None:
    assert TraceContext.parse(text) is None
