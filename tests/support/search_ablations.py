"""
Takes each safeguard of the money code out and searches for what breaks.

Run as ``make ablations``. It fails if the state machine does not notice that a safeguard is gone.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.ablations import ABLATIONS, Ablation
from tests.support.market.installed import Place
from tests.unit.purchases import test_purchase_machine


def search_without(ablation: Ablation, examples: int) -> str | None:
    """Return what broke first, and at which example; ``None`` if nothing did."""
    broke: list[str] = []
    begun = 0

    class Machine(test_purchase_machine.PurchaseMachine):
        def __init__(self) -> None:
            nonlocal begun
            begun += 1
            super().__init__()

        def teardown(self) -> None:
            error = sys.exc_info()[1]
            if error is not None and not broke and not type(error).__module__.startswith("hypothesis"):
                broke.append(f"example {begun}: {type(error).__name__} {str(error)[:120]}")
            super().teardown()

    silence: Any = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        test_purchase_machine.PurchaseMachine.place = Place(patch)
        ablation.take_out(patch)
        with (
            contextlib.suppress(BaseException),
            contextlib.redirect_stdout(silence),
            contextlib.redirect_stderr(silence),
        ):
            run_state_machine_as_test(
                Machine,
                settings=settings(
                    max_examples=examples,
                    stateful_step_count=30,
                    derandomize=True,
                    database=None,
                    deadline=None,
                    phases=[Phase.generate],
                    report_multiple_bugs=False,
                    suppress_health_check=list(HealthCheck),
                ),
            )
    return broke[0] if broke else None


def main() -> int:
    """Print a line for each safeguard; return 1 if the search missed one."""
    examples = int(os.environ.get("PURCHASE_MACHINE_EXAMPLES", "2500"))
    missed = 0
    for ablation in ABLATIONS:
        found = search_without(ablation, examples)
        missed += found is None
        print(f"{ablation.name:50} {found or 'NOT FOUND'}", flush=True)  # noqa: T201 - what it is run for
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
