"""A turn is asked for again in time, and not more often."""

from __future__ import annotations

from datetime import timedelta

from webhookcron.ticks.turns import Turn


def test_a_turn_is_kept_by_asking_again_after_half_of_it() -> None:
    clock, asked, answers = [0.0], [], [True, True, False, True]

    def hold(name: str, token: str, expiry: timedelta) -> bool:
        asked.append((clock[0], name, token, expiry))
        return answers[len(asked) - 1]

    turn = Turn("sweep", timedelta(seconds=3), hold, lambda: clock[0])
    found = []
    for moment in (0.0, 0.5, 1.4, 1.5, 2.9, 3.0, 3.1):
        clock[0] = moment
        found.append(turn.held())
    assert found == [True, True, True, True, True, False, True]
    assert [moment for moment, *_ in asked] == [0.0, 1.5, 3.0, 3.1]
    assert {(name, expiry) for _, name, _, expiry in asked} == {("sweep", timedelta(seconds=3))}
    assert len({token for _, _, token, _ in asked}) == 1
