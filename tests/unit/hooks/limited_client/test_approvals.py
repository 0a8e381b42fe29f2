"""Refuse at every door what a person has to approve."""

from __future__ import annotations

import pytest

from airflow_provider_videodb.exceptions import VideoDBApprovalMissingError
from tests.unit.hooks.limited_client.test_limited_client import every_door


@every_door
def test_purchase_above_the_line_names_the_operators(emulator, limited, buy):
    with pytest.raises(VideoDBApprovalMissingError, match="TopupOperator or EnsureCreditsOperator"):
        buy(limited(approval_above=49), 50)
    assert emulator.calls() == []


def test_purchase_up_to_the_line_is_made(emulator, limited):
    limited(approval_above=50).topup(50)
    assert [call.method for call in emulator.calls()] == ["POST"]


@pytest.mark.parametrize("amount", [None, 1])
def test_automatic_recharge_stays_off(emulator, limited, amount):
    hook = limited(approval_above=1000)
    with pytest.raises(VideoDBApprovalMissingError, match="Automatic recharge cannot be approved, because its price"):
        hook.set_auto_recharge(enabled=True, threshold=5, amount=amount)
    assert emulator.calls() == []
    assert not hook.set_auto_recharge(enabled=False).enabled


def test_subscription_has_no_price_to_approve(emulator, limited):
    with pytest.raises(VideoDBApprovalMissingError, match="A subscription cannot be approved, because its price"):
        limited(approval_above=1000).create_checkout(mode="subscription", plan_id="pro")
    assert emulator.calls() == []
