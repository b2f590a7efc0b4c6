"""What is an expression, and which wall times match it: no zones here."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from croniter import croniter
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from webhookcron.core.cron import MACROS, MAX_EXPRESSION_LENGTH, CronExpression, parse_cron

# Each with the reason. Where the crons people know disagree, the strict side wins: an expression that is
# refused today can be allowed later, one that is accepted with a meaning cannot get another.
REFUSED: list[tuple[Any, str]] = [
    # types
    (None, "no text"),
    (b"* * * * *", "bytes"),
    (5, "a number"),
    (True, "a truth value"),
    (["*"] * 5, "a list"),
    ({"minute": "*"}, "a mapping"),
    # number of fields
    ("", "empty"),
    ("   ", "blank"),
    ("*", "one field"),
    ("* * * *", "four fields"),
    ("* * * * * * *", "seven fields: no year field"),
    ("0 0 1 1 * 2030", "a year as sixth field: 2030 is no weekday"),
    ("* * * * * root", "a user name, as in /etc/crontab"),
    # length
    ("*" + " " * 1000 + "* * * *", "longer than the limit, even of blanks"),
    (",".join(["1"] * 501) + " * * * *", "longer than the limit"),
    # ranges of values
    ("60 * * * *", "minute 60"),
    ("* 24 * * *", "hour 24"),
    ("* * 0 * *", "day 0"),
    ("* * 32 * *", "day 32"),
    ("* * * 0 *", "month 0"),
    ("* * * 13 *", "month 13"),
    ("* * * * 8", "weekday 8"),
    ("60 * * * * *", "second 60: leap seconds are not in POSIX time"),
    ("60-61 * * * *", "a range above the field"),
    ("50-60 * * * *", "a range that ends above the field"),
    ("60/5 * * * *", "a start above the field"),
    ("* * 0/5 * *", "a start below the field"),
    ("* * 0-5 * *", "a range that starts below the field"),
    # ranges that run backwards: Vixie cron, cronsim, robfig/cron and cron-parser refuse; croniter wraps
    ("30-10 * * * *", "minutes backwards"),
    ("* 22-6 * * *", "hours over midnight"),
    ("* * * NOV-FEB *", "months over the year end"),
    ("* * * * FRI-MON", "weekdays over the weekend"),
    ("* * * * 5-0", "Sunday is 7 at the end of a range"),
    ("* * * * SAT-SUN", "SUN is 0"),
    # syntax
    ("- * * * *", "a lone hyphen"),
    ("5- * * * *", "a range without end"),
    ("-5 * * * *", "a range without start, or a negative number"),
    ("1-2-3 * * * *", "a range of three"),
    ("*-5 * * * *", "a range from star"),
    ("5-* * * * *", "a range to star"),
    ("1..5 * * * *", "another range sign"),
    (", * * * *", "a lone comma"),
    (",1 * * * *", "an empty item before"),
    ("1, * * * *", "an empty item after"),
    ("1,,2 * * * *", "an empty item between"),
    ("/5 * * * *", "a step of nothing"),
    ("5/ * * * *", "a step without number"),
    ("*/ * * * *", "a star step without number"),
    ("*/0 * * * *", "a step of 0"),
    ("*/00 * * * *", "a step of 0 in two digits"),
    ("*/-1 * * * *", "a negative step"),
    ("*/5/2 * * * *", "two steps"),
    ("*/1.5 * * * *", "a broken step"),
    ("*/* * * * *", "a star as step"),
    ("*/MON * * * MON", "a name as step"),
    ("** * * * *", "two stars"),
    ("*5 * * * *", "a number after a star"),
    ("5* * * * *", "a star after a number"),
    ("+5 * * * *", "a sign, which int() would take"),
    ("1_0 * * * *", "an underscore, which int() would take"),
    ("0x5 * * * *", "hexadecimal"),
    ("1e1 * * * *", "an exponent"),
    ("1.0 * * * *", "a decimal point"),
    ("~ * * * *", "a random value (cronie)"),
    ("0~5 * * * *", "a random value in a range (cronie)"),
    ("R * * * *", "a random value (croniter)"),
    ("H * * * *", "a hashed value (Jenkins, croniter)"),
    ("!5 * * * *", "a negation"),
    ("0 0 1 * * # comment", "a comment"),
    ("TZ=UTC 0 0 * * *", "a zone in the expression (robfig/cron)"),
    ("0 0 * * * && date", "a command"),
    # names
    ("MON * * * *", "a weekday in minutes"),
    ("* * * MON *", "a weekday in months"),
    ("* * * * JAN", "a month in weekdays"),
    ("* * JAN * *", "a month in days"),
    ("* * * JANUARY *", "a full name"),
    ("* * * * MONDAY", "a full name"),
    ("* * * * MO", "two letters"),
    ("* * * * MONTUE", "names without a comma"),
    ("* * * * MON1", "a name with a digit"),
    ("* * * * X", "no name"),
    # L, LW, # and ?
    ("L * * * *", "L in minutes"),
    ("* L * * *", "L in hours"),
    ("* * * L *", "L in months"),
    ("* * * * L", "L alone in weekdays: Saturday in Quartz, malformed in cronsim"),
    ("* * * * L5", "croniter's spelling of 5L"),
    ("* * * * 8L", "weekday 8"),
    ("* * * * FRIL", "L after a name: Quartz only"),
    ("* * * * 1-5L", "L after a range"),
    ("* * * * 5L/2", "a step of L"),
    ("* * LL * *", "L twice"),
    ("* * WL * *", "LW the wrong way round"),
    ("* * L-3 * *", "days before the last: Quartz only"),
    ("* * 1-L * *", "a range to the last"),
    ("* * L/2 * *", "a step of L, which cronsim takes for L"),
    ("* * W * *", "W alone"),
    ("* * 15W * *", "the nearest weekday: Quartz and croniter only"),
    ("* * * * LW", "LW in weekdays"),
    ("* * * * #", "a lone #"),
    ("* * * * #5", "no weekday"),
    ("* * * * 1#", "no ordinal"),
    ("* * * * 1#0", "ordinal 0"),
    ("* * * * 1#6", "ordinal 6"),
    ("* * * * 1#-1", "an ordinal from the end"),
    ("* * * * 8#1", "weekday 8"),
    ("* * * * 1#1#2", "two ordinals"),
    ("* * * * 1-3#2", "an ordinal of a range"),
    ("* * * * 1#1-3", "a range of ordinals"),
    ("* * * * *#1", "an ordinal of every day"),
    ("* * 1#1 * *", "# in days of month"),
    ("? * * * *", "? in minutes"),
    ("* ? * * *", "? in hours"),
    ("* * * ? *", "? in months"),
    ("? * * * * *", "? in seconds"),
    ("* * ?/2 * *", "? with a step"),
    ("* * ?,5 * *", "? in a list"),
    ("* * ?? * *", "two ?"),
    # macros
    ("@", "a lone at"),
    ("@reboot", "names no time"),
    ("@every 5m", "robfig/cron only; intervals are a schedule type of their own"),
    ("@every_minute", "FreeBSD only"),
    ("@quarterly", "no macro of cron"),
    ("@ daily", "a blank after the at"),
    ("@@daily", "two ats"),
    ("@daily @daily", "two macros"),
    ("@daily * * * *", "a macro and fields"),
    ("daily", "no at"),
    ("* * * * @daily", "a macro as field"),
    # characters
    ("０ * * * *", "a full-width digit"),
    ("٣ * * * *", "an Arabic-Indic digit"),
    ("² * * * *", "a superscript digit, which isdigit() takes"),
    ("*/５ * * * *", "a full-width step"),
    ("＊ * * * *", "a full-width star"),
    ("1–5 * * * *", "an en dash"),
    ("1−5 * * * *", "a minus sign"),
    ("* * * * ＭＯＮ", "full-width letters"),
    ("* * * ſEP *", "a long s, which upper() makes an S"),
    ("*\u00a0* * * *", "a no-break space"),
    ("*\u3000* * * *", "an ideographic space"),
    ("*\u200b * * * *", "a zero-width space"),
    ("\ufeff* * * * *", "a byte order mark"),
    ("* * * * *\x00", "a NUL"),
    ("* * * * *\x1b[2J", "an escape sequence"),
    ("*\x0b* * * *", "a vertical tab, which split() takes"),
    ("*\x1c* * * *", "a file separator, which split() takes"),
    ("* * * *\n*", "a line break inside: in a crontab two entries"),
    ("* * * * *\n* * * * *", "two lines"),
    ("0 0 * * *\r\nX-Header: 1", "a header"),
    ("'; DROP TABLE jobs; --", "SQL"),
    ("$(reboot) * * * *", "a shell substitution"),
    ("../../etc/passwd", "a path"),
    ("<script>", "markup"),
    ("%s%s%s%s%n", "a format string"),
    # what never comes
    ("0 0 30 2 *", "February 30"),
    ("0 0 31 2 *", "February 31"),
    ("0 0 31 4,6,9,11 *", "no month of 31 days"),
    ("0 0 30-31 2 *", "beyond February"),
    ("0 0 30 2 */2", "both day fields must match, and one cannot"),
    ("0 0 */31 * 1#2", "the first is never a second Monday"),
]

ACCEPTED: list[tuple[str, str, str]] = [
    # expression, what it equals, why
    (
        "*/61 * * * *",
        "0 * * * *",
        "a step beyond the field leaves its start (Debian cron, cronsim, robfig/cron)",
    ),
    ("59/15 * * * *", "59 * * * *", "a start runs to the end of the field"),
    ("50/3 * * * *", "50,53,56,59 * * * *", "a start with a step"),
    ("5-5 * * * *", "5 * * * *", "a range of one"),
    ("5-5/2 * * * *", "5 * * * *", "a step of a range of one stays in it"),
    ("0005 * * * *", "5 * * * *", "leading zeros"),
    ("5,5,1-5 * * * *", "1-5 * * * *", "repeated values"),
    ("0 0 * * 7", "0 0 * * 0", "Sunday is 0 and 7"),
    ("0 0 * * 5-7", "0 0 * * 0,5,6", "Sunday ends the week"),
    ("0 0 * * 0-7", "0 0 * * 0-6", "Sunday at both ends"),
    ("0 0 * * 1/2", "0 0 * * 0,1,3,5", "steps in weekdays run to 7 (Vixie cron, cronsim)"),
    ("0 0 * * sun-THU", "0 0 * * 0-4", "names in any case"),
    ("0 0 * * MON-5", "0 0 * * 1-5", "a range of name and number"),
    ("0 0 * * 1-WED/2", "0 0 * * 1,3", "a step of such a range"),
    ("0 0 1 DEC/3 *", "0 0 1 12 *", "a name with a step"),
    ("0 0 * * 7L", "0 0 * * 0L", "the last Sunday"),
    ("0 0 * * 7#2", "0 0 * * 0#2", "the second Sunday"),
    ("0 0 * * mon#1", "0 0 * * 1#1", "a name with an ordinal"),
    ("0 0 l * *", "0 0 L * *", "L in lower case"),
    ("0 0 lw * *", "0 0 LW * *", "LW in lower case"),
    ("0 0 ? * MON", "0 0 * * MON", "? equals *"),
    ("0 0 1 * ?", "0 0 1 * *", "? equals *"),
    ("0 0 ? * ?", "0 0 * * *", "? in both day fields (robfig/cron, cron-parser)"),
    ("0 0 0 * * *", "0 0 * * *", "six fields at second 0"),
    (" \t0  0\t* * * \r\n", "0 0 * * *", "white space around and between"),
    ("@daily", "0 0 * * *", "a macro"),
    ("  @Weekly ", "0 0 * * 0", "a macro in any case, with white space around"),
    ("0 0 31 2 MON", "0 0 * 2 MON", "Mondays come, the 31st does not: either field is enough"),
    ("0 0 1-31 * 3", "0 0 * * *", "a full range is no star: either field is enough"),
    ("0 0 */1 * 3", "0 0 * * 3", "a step star is a star: both fields must match"),
]


def wall_times(expression: CronExpression, start: datetime, count: int) -> list[datetime]:
    found: list[datetime] = []
    wall = expression.next_wall_time(start)
    while wall is not None and len(found) < count:
        found.append(wall)
        wall = expression.next_wall_time(wall + timedelta(seconds=1))
    return found


@pytest.mark.parametrize(
    ("expression", "why"), REFUSED, ids=[f"{why}: {text!a:.40}" for text, why in REFUSED]
)
def test_it_refuses(expression: Any, why: str) -> None:
    with pytest.raises(ValueError) as refusal:
        parse_cron(expression)

    message = str(refusal.value)
    assert message.endswith(".")
    assert message.isprintable()
    assert len(message) <= 300


@pytest.mark.parametrize(
    ("expression", "equal", "why"), ACCEPTED, ids=[f"{e!a}: {why}" for e, _, why in ACCEPTED]
)
def test_it_accepts(expression: str, equal: str, why: str) -> None:
    start = datetime(2026, 1, 1)

    assert wall_times(parse_cron(expression), start, 50) == wall_times(parse_cron(equal), start, 50)


@pytest.mark.parametrize("macro", MACROS)
def test_every_macro_is_its_expression(macro: str) -> None:
    assert parse_cron(macro).text == MACROS[macro]


def test_the_longest_expression_is_read() -> None:
    minutes = ",".join(["1"] * 496)
    expression = f"{minutes} * * * *"
    assert len(expression) <= MAX_EXPRESSION_LENGTH

    assert parse_cron(expression).minutes == 0b10


def refusal_of(text: str) -> str | None:
    try:
        parse_cron(text)
    except ValueError as refusal:
        return str(refusal)
    return None


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_short_message(text: str) -> None:
    message = refusal_of(text)

    assert message is None or (message.isprintable() and len(message) <= 300)


@settings(deadline=None)
@given(
    st.lists(st.text("0123456789*,-/?#LWMONJAN", min_size=1, max_size=6), min_size=5, max_size=6).map(
        " ".join
    )
)
def test_any_text_of_the_right_characters_is_read_or_refused(text: str) -> None:
    assert refusal_of(text) is not None or parse_cron(text).next_wall_time(datetime(2026, 1, 1)) is not None


RARE = [
    ("0 0 29 2 *", datetime(2096, 3, 1), datetime(2104, 2, 29)),
    ("0 0 * 2 1#5", datetime(2072, 3, 1), datetime(2112, 2, 29)),
    ("0 0 */28 2 1#5", datetime(2072, 3, 1), datetime(2112, 2, 29)),
    ("0 0 31 12 *", datetime(9997, 12, 31, 1), datetime(9998, 12, 31)),
]


@pytest.mark.parametrize(("expression", "start", "expected"), RARE)
def test_it_finds_what_comes_once_in_forty_years(
    expression: str, start: datetime, expected: datetime
) -> None:
    assert parse_cron(expression).next_wall_time(start) == expected
    assert parse_cron(expression).previous_wall_time(expected) == expected


def test_there_is_nothing_beyond_the_ends_of_the_calendar() -> None:
    assert parse_cron("@yearly").next_wall_time(datetime(9998, 1, 1, 0, 0, 1)) is None
    assert parse_cron("0 0 2 1 *").previous_wall_time(datetime(2, 1, 1)) is None


# --- against others ---------------------------------------------------------------------------------------


def numeric_field(low: int, high: int) -> st.SearchStrategy[str]:
    """Fields that all implementations read alike: no range of one (croniter, cronsim), no start with a step."""
    number = st.integers(low, high).map(str)
    bounds = st.tuples(st.integers(low, high - 1), st.integers(1, high - low)).map(
        lambda pair: (pair[0], min(high, pair[0] + pair[1]))
    )
    item = st.one_of(
        number,
        bounds.map(lambda pair: f"{pair[0]}-{pair[1]}"),
        st.tuples(bounds, st.integers(1, 9)).map(lambda both: f"{both[0][0]}-{both[0][1]}/{both[1]}"),
    )
    return st.one_of(
        st.just("*"),
        st.integers(2, high // 2).map(lambda step: f"*/{step}"),
        st.lists(item, min_size=1, max_size=3).map(",".join),
    )


fields = [
    numeric_field(0, 59),
    numeric_field(0, 23),
    numeric_field(1, 28),
    numeric_field(1, 12),
    numeric_field(0, 6),
]
five_fields = st.tuples(*fields).map(" ".join)
six_fields = st.tuples(numeric_field(0, 59), *fields).map(" ".join)
starts = st.datetimes(datetime(1999, 1, 1), datetime(2099, 1, 1)).map(
    lambda moment: moment.replace(microsecond=0)
)


@settings(max_examples=150, deadline=None)
@given(st.one_of(five_fields, six_fields), starts)
def test_it_agrees_with_cronsim(expression: str, start: datetime) -> None:
    other = CronSim(expression, start)
    theirs = [next(other) for _ in range(4)]

    assert wall_times(parse_cron(expression), start + timedelta(seconds=1), 4) == theirs
    back = CronSim(expression, start, reverse=True)
    assert parse_cron(expression).previous_wall_time(start - timedelta(seconds=1)) == next(back)


@settings(max_examples=80, deadline=None)
@given(five_fields, starts)
def test_it_agrees_with_croniter(expression: str, start: datetime) -> None:
    day, weekday = expression.split()[2::2]
    both = day.startswith("*") or weekday.startswith("*")
    other = croniter(expression, start, day_or=not both, implement_cron_bug=False)

    assert wall_times(parse_cron(expression), start + timedelta(seconds=1), 3) == [
        other.get_next(datetime) for _ in range(3)
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["L", "LW", "L,15", "LW,1", "*"]),
    st.sampled_from(["*", "5L", "1#1,1#3", "0L,3", "2#5"]),
    starts,
)
def test_it_agrees_with_cronsim_on_last_and_nth_days(day: str, weekday: str, start: datetime) -> None:
    expression = f"0 12 {day} * {weekday}"
    other = CronSim(expression, start)

    assert wall_times(parse_cron(expression), start + timedelta(seconds=1), 5) == [
        next(other) for _ in range(5)
    ]


@settings(max_examples=80, deadline=None)
@given(st.one_of(five_fields, six_fields), starts, st.integers(0, 100_000))
def test_counting_agrees_with_walking(expression: str, start: datetime, seconds: int) -> None:
    parsed = parse_cron(expression)
    walked = 0
    wall = parsed.next_wall_time(start)
    while wall is not None and wall < start + timedelta(seconds=seconds) and walked < 2000:
        walked += 1
        wall = parsed.next_wall_time(wall + timedelta(seconds=1))

    counted = parsed.count_wall_times(start, start + timedelta(seconds=seconds))
    assert counted == walked if walked < 2000 else counted >= walked
