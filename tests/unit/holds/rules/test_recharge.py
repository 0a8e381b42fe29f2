"""Flags say who needs which settings, and the settings that serve all follow from them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from airflow_provider_videodb.api.models import AutoRecharge
from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.holds.rules.recharge import (
    Holder,
    Mark,
    RechargeView,
    check_key,
    combine,
    parse_key,
    restored,
)


def settings(enabled: bool, threshold: object = None, amount: object = None) -> AutoRecharge:
    figures = [None if figure is None else Decimal(str(figure)) for figure in (threshold, amount)]
    return AutoRecharge(enabled=enabled, threshold=figures[0], amount=figures[1])


FOUND, SMALL, LARGE = settings(False, 5, 25), settings(True, 20, 50), settings(True, 10, 100)
A, B = (Holder(account="acct", holder=f"{name}.-1", try_id="1") for name in "ab")


@pytest.mark.parametrize("wanted", [FOUND, LARGE, settings(True), settings(True, "20.000000000000000001", "1E+3")])
@pytest.mark.parametrize("mark", Mark)
def test_key_says_everything(mark: Mark, wanted: AutoRecharge) -> None:
    flag = A.flag(mark, wanted, rank=3)

    assert parse_key(check_key(flag).key) == flag


def test_key_keeps_its_stored_form() -> None:
    assert A.flag(Mark.FOUND, FOUND, rank=1).key == "videodb/recharge/acct/a.-1/1/f/1/off/5/25"
    assert B.flag(Mark.WANTS, settings(True, 20)).key == "videodb/recharge/acct/b.-1/1/w/0/on/20/-"


@pytest.mark.parametrize(
    "key",
    [
        "",
        "videodb/holds/acct/a/1/f/1/off/5/25",
        *(
            f"videodb/recharge/{rest}"
            for rest in (
                "a/b",
                "a/b/1/f/1/off/5/25/x",
                "a/b/1/x/1/off/5/25",
                "a/b/1/f/x/off/5/25",
                "a/b/1/f/1/maybe/5/25",
                "a/b/1/f/1/off/lots/25",
            )
        ),
    ],
)
def test_foreign_key_is_ignored(key: str) -> None:
    assert parse_key(key) is None


def test_figures_too_long_for_a_key_are_refused() -> None:
    with pytest.raises(VideoDBConfigError, match="too long"):
        check_key(A.flag(Mark.WANTS, settings(True, "1E+300", 1)))


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        ([SMALL], SMALL),
        ([SMALL, LARGE], settings(True, 20, 100)),
        ([settings(False, 90, 90), SMALL], SMALL),
        ([settings(True, None, 70)], settings(True, 5, 70)),
        ([settings(True), SMALL], SMALL),
        ([settings(False, 7, None)], settings(False, 7, 25)),
    ],
)
def test_largest_figures_of_those_who_need_it_on_serve_all(needs: list[AutoRecharge], expected: AutoRecharge) -> None:
    assert combine(FOUND, needs) == expected


def test_setup_that_no_account_can_be_enabled_with_changes_nothing() -> None:
    assert combine(settings(False), [settings(True)]) == settings(False)


def test_account_without_figures_keeps_those_of_the_pair() -> None:
    assert restored(settings(False, 0, 0), SMALL) == settings(False, 20, 50)
    assert restored(FOUND, SMALL) == FOUND


def test_highest_rank_is_what_was_found() -> None:
    flags = A.flag(Mark.FOUND, SMALL, rank=1), B.flag(Mark.FOUND, FOUND, rank=2)
    found = RechargeView(flags).found

    assert found is not None
    assert found.settings == FOUND
    assert RechargeView(()).found is None


def test_setup_that_writes_has_found_the_right_settings() -> None:
    """Two setups that found different settings at once: one of them has read its own again, and goes on to write."""
    for one, other in ((A, B), (B, A)):
        flags = one.flag(Mark.FOUND, SMALL, rank=1), other.flag(Mark.FOUND, FOUND, rank=1), other.flag(Mark.APPLIES)
        found = RechargeView(flags).found
        assert found is not None
        assert found.settings == FOUND


@pytest.mark.parametrize(
    ("current", "is_ours"),
    [
        (FOUND, True),
        (SMALL, True),
        (settings(True, 20, 100), True),
        (settings(True, 1, 2), True),
        (settings(False, 20, 100), False),
        (settings(True, 5, 25), False),
        (settings(True, 33, 44), False),
    ],
)
def test_settings_that_no_pipeline_may_have_written_are_a_persons(current: AutoRecharge, is_ours: bool) -> None:
    view = RechargeView(
        (
            A.flag(Mark.WANTS, SMALL),
            A.flag(Mark.FOUND, FOUND, rank=1),
            B.flag(Mark.WANTS, LARGE),
            B.flag(Mark.APPLIES, settings(True, 1, 2)),
        )
    )

    assert view.is_ours(FOUND, current) is is_ours


def test_only_those_who_know_and_do_not_leave_count() -> None:
    known = A.flag(Mark.WANTS, SMALL), A.flag(Mark.FOUND, FOUND, rank=1)

    assert RechargeView((*known, B.flag(Mark.WANTS, LARGE))).target(FOUND, SMALL) == SMALL
    assert RechargeView((*known, A.flag(Mark.LEAVES))).target(FOUND, SMALL) == FOUND
