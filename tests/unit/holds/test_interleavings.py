"""Every order in which the steps of gates can happen, over the real generators."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.holds_search.ablations import ABLATIONS, Ablation
from tests.support.holds_search.model_check import check

MODEL_CHECKED = [ablation for ablation in ABLATIONS if ablation.model is not None]


@pytest.mark.parametrize(
    "happens",
    [{}, {"looks_at_once": True, "errors": 1}, {"stale_release": True}],
    ids=["no fault", "one error", "a release that has been replaced"],
)
def test_two_gates_never_count_on_the_same_credit(happens: dict[str, Any]) -> None:
    checked = check(gates=2, **happens)

    assert checked.path is None
    assert checked.states > 2_500


@pytest.mark.parametrize("ablation", MODEL_CHECKED, ids=lambda ablation: ablation.name)
def test_missing_safeguard_is_noticed(ablation: Ablation) -> None:
    assert ablation.model is not None

    with ablation.taken_out():
        checked = check(**ablation.model)

    assert checked.path is not None
