"""The key of a flag: what it says, what is not one, and how long it may be."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.holds.rules.records import (
    MAX_KEY,
    NOBODY,
    PREFIX,
    Flag,
    Kind,
    account_part,
    account_prefix,
    check_key,
    holder_of,
    parse_key,
    task_part,
    try_of,
)
from tests.support.holds import Task, flag

HOLDERS = st.builds(holder_of, st.text(), st.text(), st.text(), st.none() | st.integers(-1, 100_000)) | st.just(NOBODY)
FLAGS = st.builds(
    Flag,
    account=st.builds(account_part, st.text()),
    holder=HOLDERS,
    try_id=st.builds(try_of, st.uuids()),
    kind=st.sampled_from(Kind),
    credits=st.decimals(min_value=0, max_value=2**53 - 1, allow_nan=False).map(Decimal.copy_abs),
    ms=st.integers(0, 253_402_300_799_999),
    priority=st.integers(-(10**9), 10**9),
)
#: A key that is a flag, to be broken in one part.
WHOLE = "videodb/holds/shared/9f86d081884c7d65.-1/0123456789ab/w/75.5/1800000000000/3"


@given(FLAGS)
def test_flag_is_read_back_from_its_key(one: Flag) -> None:
    assume(len(one.key) <= MAX_KEY)

    assert parse_key(one.key) == one


@given(st.text() | st.lists(st.text() | st.sampled_from(["w", "h", "0", "1e5", "NaN", "-1"]), max_size=8).map("/".join))
def test_any_text_is_a_flag_or_nothing(text: str) -> None:
    for key in (text, PREFIX + text):
        found = parse_key(key)
        # A flag with another key could not be removed.
        assert found is None or found.key == key


def test_whole_key_is_a_flag() -> None:
    found = parse_key(WHOLE)

    assert found is not None
    assert (found.account, found.holder, found.try_id) == ("shared", "9f86d081884c7d65.-1", "0123456789ab")
    assert (found.kind, found.credits, found.ms, found.priority) == (
        Kind.WAITING,
        Decimal("75.5"),
        1_800_000_000_000,
        3,
    )
    assert found.owner == ("9f86d081884c7d65.-1", "0123456789ab")


@pytest.mark.parametrize(
    "credits",
    [
        *[
            "NaN",
            "sNaN",
            "Infinity",
            "-1",
            "-0",
            "+5",
            "1e3",
            "1e-999999999",
            "1E+400",
            "9" * 17,
            "9" * 5000,
            "\u0661",
            "½",
        ],
        *["1_000", " 5", "5 ", ".5", "5.", "0x10", "1,5", "", "None", "5\n"],
    ],
)
def test_hostile_credits_are_not_a_flag(credits: str) -> None:
    assert parse_key(WHOLE.replace("75.5", credits)) is None


@pytest.mark.parametrize(
    "ms",
    [
        "-1",
        "\u0661\u0668\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0660",
        "1e12",
        "1.5",
        "",
        "+1",
        "007",
        "NaN",
        "1_000",
        "9" * 16,
        "9" * 5000,
        "253402300800000",
    ],
)
def test_hostile_moment_is_not_a_flag(ms: str) -> None:
    assert parse_key(WHOLE.replace("1800000000000", ms)) is None


@pytest.mark.parametrize("priority", ["\u0661", "1.5", "", "+1", "0", "-0", "03", "high", "9" * 5000])
def test_hostile_priority_is_not_a_flag(priority: str) -> None:
    assert parse_key(f"{WHOLE.removesuffix('3')}{priority}") is None


@pytest.mark.parametrize("kind", ["x", "W", "wh", "waiting", "", "\uff57"])
def test_newer_kind_is_not_a_flag(kind: str) -> None:
    assert parse_key(WHOLE.replace("/w/", f"/{kind}/")) is None


@pytest.mark.parametrize(
    "key",
    [
        "",
        PREFIX,
        WHOLE.removeprefix("videodb/"),
        WHOLE.replace("holds/", "holds-journal/"),
        f"{WHOLE}/more",
        f"{WHOLE}/",
        WHOLE.replace("shared", ""),
        WHOLE.replace("0123456789ab", ""),
        WHOLE.replace("/75.5/1800000000000/3", "/75.5"),
        PREFIX + WHOLE,
    ],
)
def test_key_of_another_shape_is_not_a_flag(key: str) -> None:
    assert parse_key(key) is None


@pytest.mark.parametrize("name", ["videodb_default", "a", "A-1.b_c", "x" * 60, "..a", "-"])
def test_plain_account_is_its_own_part(name: str) -> None:
    assert account_part(name) == name


@pytest.mark.parametrize("name", ["", "a/b", "x" * 61, "é", "a b", "~", "\ud800", ".", "..", "...", "a\n", "%2e"])
def test_odd_account_becomes_a_hash(name: str) -> None:
    part = account_part(name)

    assert part.startswith("~")
    assert len(part) == 17
    assert part != account_part(f"{name}x")
    assert parse_key(f"{account_prefix(part)}holder/try/h/5/1") is not None


@given(st.text(), st.text())
def test_two_accounts_never_share_a_part(one: str, other: str) -> None:
    assume(one != other)

    assert account_part(one) != account_part(other)


@pytest.mark.parametrize(
    "other",
    [
        ("b", "run", "task", 3),
        ("a", "b", "task", 3),
        ("a", "run", "b", 3),
        ("a", "run", "task", 4),
        ("arun", "", "task", 3),
    ],
)
def test_holder_is_one_task_instance(other: tuple[str, str, str, int]) -> None:
    assert holder_of("a", "run", "task", 3) != holder_of(*other)
    assert holder_of("a", "run", "task", None) == holder_of("a", "run", "task", -1)


def test_task_stands_for_all_map_indexes() -> None:
    one, ten = Task(map_index=1), Task(map_index=10)
    task = task_part("dag", "run", "gate")

    assert flag(Kind.HELD, one).is_of(task)
    assert flag(Kind.HELD, ten).is_of(task)
    assert flag(Kind.HELD, ten).is_of(ten.holder)
    assert not flag(Kind.HELD, ten).is_of(one.holder)
    assert not flag(Kind.HELD, Task(task_id="gate2")).is_of(task)


def test_try_is_named_by_the_tail_of_its_id() -> None:
    assert try_of("019a1b2c-3d4e-7f50-8a6b-0123456789ab") == "0123456789ab"


@pytest.mark.parametrize("credits", ["0." + "1" * 250, "1e-300", "1e-999999999", "1" + "0" * 250, "1e999999999"])
def test_key_that_is_too_long_is_an_error(credits: str) -> None:
    with pytest.raises(VideoDBConfigError, match="Nothing was held") as caught:
        check_key(flag(Kind.HELD, Task(), credits))
    assert str(caught.value).endswith("Next step: give a figure with fewer digits.")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("credits", ["0", "75", "9007199254740991", "0.000001", "1e3"])
def test_key_of_usual_length_is_accepted(credits: str) -> None:
    one = flag(Kind.WAITING, Task(map_index=100_000), credits, priority=-(10**9))

    assert check_key(one) is one
