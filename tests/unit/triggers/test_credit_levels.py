"""When credits are low, soon low, and back."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.triggers._credit_levels import (
    Kind,
    Level,
    Line,
    Sample,
    Watched,
    advance,
    next_level,
    spent_within,
)

HOUR = 3600.0
#: Some moment of 2026.
BEGIN = 1_790_000_000.0

balances = st.integers(-50, 2000).map(Decimal)
gaps = st.sampled_from([1.0, 60.0, HOUR, 5 * HOUR, 100 * HOUR, -HOUR])


def line(below=200, back_at=None, warn_hours=None):
    return Line.parse(below=below, back_at=back_at, warn_hours=warn_hours)


#: Without a warning.
PLAIN = line()


def play(figures, at=None, *, kind=Kind.LOW, line=PLAIN, every=60.0):
    """Return the levels of the events, after a restart between any two balances."""
    told, watched = [], None
    moments = at or [BEGIN + i * every for i in range(len(figures))]
    for moment, balance in zip(moments, figures, strict=True):
        now = Sample(moment, Decimal(balance))
        watched = advance(watched, now, line, kind=kind, account="one", conn_id="videodb_default")
        if watched.unsent is not None:
            told.append(watched.unsent["level"])
            watched = Watched(account=watched.account, level=watched.level, samples=watched.samples)
        watched = Watched.from_json(watched.to_json())
    return told


@pytest.mark.parametrize(
    ("figures", "low", "back"),
    [
        ([1000, 200], [], []),
        ([1000, 199], ["low"], []),
        ([150], ["low"], []),
        ([1000, 199, 150, 10, -5], ["low"], []),
        ([1000, 199, 200, 199, 219, 199], ["low"], []),
        ([1000, 199, 220], ["low"], ["back"]),
        ([1000, 199, 220, 199], ["low", "low"], ["back"]),
        ([1000, "199.999999999", "219.999999999", 0, 220], ["low"], ["back"]),
    ],
)
def test_each_crossing_is_told_once(figures, low, back):
    assert play(figures) == low
    assert play(figures, kind=Kind.BACK) == back


@given(st.lists(balances, max_size=40))
def test_low_and_back_alternate(figures):
    below, back_at = 200, 220
    low, back = play(figures), play(figures, kind=Kind.BACK)

    # The definition, without a state: the balances that are neither between the lines nor repeat a side.
    sides = [one < below for one in figures if not below <= one < back_at]
    crossings = [now for before, now in pairwise([False, *sides]) if now is not before]
    assert len(low) == crossings.count(True)
    assert len(back) == crossings.count(False)


@given(st.lists(st.tuples(balances, gaps), max_size=40))
def test_warning_never_hides_or_repeats_a_low(steps):
    moments, moment = [], BEGIN
    for _, gap in steps:
        moment += gap
        moments.append(moment)
    figures = [balance for balance, _ in steps]
    warned = play(figures, moments, line=line(warn_hours=24))

    assert [level for level in warned if level == "low"] == play(figures, moments)


def test_warning_comes_when_the_same_again_would_reach_the_line():
    # 100 credits an hour for 4 hours: the next 4 hours would take 400.
    warn = line(warn_hours=4)
    assert play([1000, 900, 800, 700, 600], line=warn, every=HOUR) == []
    assert play([1000, 900, 800, 700, 599], line=warn, every=HOUR) == ["warning"]
    assert play([1000, 900, 800, 700, 599, 400, 199, 150], line=warn, every=HOUR) == ["warning", "low"]


def test_burst_that_the_account_can_repeat_warns_nobody():
    # 500 credits in one hour of each day, from 5000: a rate per hour would warn at once.
    warn = line(warn_hours=24)
    day = [5000] * 12 + [4500] * 24 + [4000] * 12
    assert play(day, line=warn, every=HOUR) == []


def test_slow_decline_warns_the_stated_time_ahead():
    warn = line(warn_hours=24)
    figures = [1000 - 10 * hour for hour in range(81)]
    told_at = next(hour for hour in range(81) if play(figures[: hour + 1], line=warn, every=HOUR))

    # 240 credits in 24 hours: the line is 24 hours away at 440 credits.
    assert figures[told_at] == 430


def test_warning_ends_ten_percent_above_the_line():
    warn = line(warn_hours=4)
    assert next_level(Level.OK, Decimal(619), 400.0, warn) is Level.OK
    assert next_level(Level.WARNING, Decimal(619), 400.0, warn) is Level.WARNING
    assert next_level(Level.WARNING, Decimal(620), 400.0, warn) is Level.OK


def test_topup_is_not_spending_and_ends_a_warning():
    warn = line(warn_hours=4)
    figures = [1000, 500, 2000, 1900, 1900, 1900, 1900, 1900, 1400, 900, 400]
    assert play(figures, line=warn, every=HOUR) == ["warning", "warning"]


def test_flutter_within_an_hour_is_not_spending():
    flutter = [300, 250] * 30
    assert play(flutter, line=line(warn_hours=24), every=60) == []


def test_spending_before_the_period_counts_by_its_share():
    samples = (Sample(BEGIN, Decimal(1000)),)
    now = Sample(BEGIN + 10 * HOUR, Decimal(0))

    assert spent_within(samples, now, HOUR) == pytest.approx(100)
    assert spent_within(samples, now, 100 * HOUR) == pytest.approx(1000)


def test_samples_stay_few_and_cover_the_period():
    watched = None
    for minute in range(5 * 24 * 60):
        now = Sample(BEGIN + 60 * minute, Decimal(1_000_000 - minute))
        watched = advance(watched, now, line(warn_hours=24), kind=Kind.LOW, account="one", conn_id="c")
    assert len(watched.samples) <= 26
    assert now.at - watched.samples[0].at >= 24 * HOUR
    assert spent_within(watched.samples, now, 24 * HOUR) == pytest.approx(24 * 60)


def test_topup_neither_counts_nor_hides_what_was_spent():
    samples = (Sample(BEGIN, Decimal(1000)), Sample(BEGIN + HOUR, Decimal(500)))

    assert spent_within(samples, Sample(BEGIN + 2 * HOUR, Decimal(2000)), 10 * HOUR) == 500


def test_event_that_was_not_sent_survives_a_restart():
    watched = advance(None, Sample(BEGIN, Decimal(1)), line(), kind=Kind.LOW, account="one", conn_id="c")

    assert watched.unsent is not None
    assert Watched.from_json(watched.to_json()) == watched


def test_spending_before_the_period_is_forgotten():
    watched = None
    for hour in range(72):
        now = Sample(BEGIN + HOUR * hour, Decimal(max(5000 - 1000 * hour, 1000)))
        watched = advance(watched, now, line(warn_hours=24), kind=Kind.LOW, account="one", conn_id="c")
    # All was spent in the first four hours. One rate for the whole time would still count a third of it.
    assert spent_within(watched.samples, now, 24 * HOUR) == 0


def test_clock_that_is_set_back_forgets_the_future():
    assert play([1000, 100], [BEGIN + HOUR, BEGIN], line=line(warn_hours=4)) == ["low"]
    assert play([1000, 250], [BEGIN + HOUR, BEGIN], line=line(warn_hours=4)) == []


def test_another_account_begins_anew():
    low = advance(None, Sample(BEGIN, Decimal(1)), line(), kind=Kind.LOW, account="one", conn_id="c")
    moved = advance(low, Sample(BEGIN + 60, Decimal(500)), line(), kind=Kind.BACK, account="two", conn_id="c")
    assert (moved.level, moved.unsent) == (Level.OK, None)
    still = advance(low, Sample(BEGIN + 60, Decimal(1)), line(), kind=Kind.LOW, account="two", conn_id="c")
    assert still.unsent is not None
    assert still.unsent != low.unsent


@pytest.mark.parametrize(
    ("kind", "first", "then", "stays"),
    [
        (Kind.LOW, [100], 90, True),
        (Kind.LOW, [100], 220, False),
        (Kind.BACK, [100, 220], 300, True),
        (Kind.BACK, [100, 220], 100, False),
    ],
)
def test_unsent_event_stays_while_it_is_true(kind, first, then, stays):
    watched = None
    for i, balance in enumerate([*first, then]):
        before = watched
        now = Sample(BEGIN + i, Decimal(balance))
        watched = advance(watched, now, line(), kind=kind, account="one", conn_id="c")
    assert before.unsent is not None
    assert (watched.unsent == before.unsent) is stays


def test_event_is_flat_json():
    watched = None
    for at, balance in ((BEGIN, "1000"), (BEGIN + HOUR, "550.5")):
        watched = advance(
            watched, Sample(at, Decimal(balance)), line(warn_hours=4), kind=Kind.LOW, account="one", conn_id="c\ud800"
        )
    assert json.loads(json.dumps(watched.unsent)) == {
        "format": 1,
        "level": "warning",
        "balance": 550.5,
        "below": 200,
        "back_at": 220,
        "warn_hours": 4.0,
        "spent": 449.5,
        "hours_left": 3.1,
        "at": "2026-09-21T15:13:20+00:00",
        "videodb_conn_id": "c\ufffd",
    }


def test_only_a_warning_says_how_long_the_credits_last():
    before = advance(None, Sample(BEGIN, Decimal(1000)), line(warn_hours=4), kind=Kind.LOW, account="a", conn_id="c")
    now = Sample(BEGIN + HOUR, Decimal(100))
    after = advance(before, now, line(warn_hours=4), kind=Kind.LOW, account="a", conn_id="c")

    assert (after.unsent["level"], after.unsent["spent"], after.unsent["hours_left"]) == ("low", 900, None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"account": "a"}',
        '{"account": "a", "level": "high"}',
        '{"account": 1, "level": "low"}',
        '{"account": "a", "level": "low", "unsent": "low"}',
        '{"account": "a", "level": "low", "samples": 5}',
        '{"account": "a", "level": "low", "samples": [1]}',
        '{"account": "a", "level": "low", "samples": [[1, "x"]]}',
        '{"account": "a", "level": "low", "samples": [[1, NaN]]}',
    ],
)
def test_unreadable_memory_is_an_error(text):
    with pytest.raises(ValueError):  # noqa: PT011 - the caller names the Variable
        Watched.from_json(text)


@pytest.mark.parametrize(
    "arguments",
    [
        {"below": 0},
        {"below": -1},
        {"below": "lots"},
        {"below": None},
        {"below": "{{ var.value.line }}"},
        {"below": 200, "back_at": 199},
        {"below": 200, "warn_hours": 0},
        {"below": 200, "warn_hours": float("nan")},
        {"below": 200, "warn_hours": True},
    ],
)
def test_line_that_breaks_a_rule_is_refused(arguments):
    with pytest.raises(VideoDBConfigError, match="Next step: "):
        line(**arguments)


def test_credits_may_be_back_at_the_line_itself():
    assert play([1000, 199, 200, 199], line=line(back_at=200)) == ["low", "low"]
