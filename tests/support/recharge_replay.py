"""Brings a generator to the step that it takes after what it was told."""

from __future__ import annotations

from typing import Any

from airflow_provider_videodb.holds.rules.recharge import RechargeView, parse_key
from airflow_provider_videodb.holds.rules.recharge_settling import Settling


def replay(steps: Any, told: tuple[Any, ...]) -> tuple[Any, Any]:
    """Return the next step of a generator, or its outcome, and what the generator knows."""
    try:
        step = next(steps)
        for result in told:
            step = steps.send(view_of(result) if isinstance(result, frozenset) else result)
    except StopIteration as end:
        return end.value, ()
    knows: list[Any] = []
    while steps is not None:
        names = dict(steps.gi_frame.f_locals)
        me = names.pop("self", None)
        if isinstance(me, Settling) and steps.gi_code.co_name == "run":
            # The steps before it only wait for its outcome. What it will report decides nothing.
            knows = [(name, _frozen(value)) for name, value in vars(me).items() if name not in ("_first", "_changed")]
        knows.append((steps.gi_code.co_name, steps.gi_frame.f_lasti))
        knows += [(name, _frozen(value)) for name, value in names.items() if name not in ("_", "steps")]
        # A test may wrap the steps in a generator that changes some of them.
        steps = steps.gi_yieldfrom or names.get("steps")
    return step, tuple(knows)


def _frozen(value: Any) -> Any:
    if isinstance(value, RechargeView):
        return value.flags
    if isinstance(value, list | tuple):
        return tuple(_frozen(one) for one in value)
    if isinstance(value, set):
        return frozenset(value)
    if hasattr(value, "gi_frame") or hasattr(value, "__next__"):
        return repr(type(value)) + str(value.__length_hint__() if hasattr(value, "__length_hint__") else "")
    return value


_VIEWS: dict[frozenset[str], RechargeView] = {}


def view_of(keys: frozenset[str]) -> RechargeView:
    """Return the view of a listing. Equal listings share one."""
    if keys not in _VIEWS:
        flags = [flag for key in sorted(keys) if (flag := parse_key(key)) is not None]
        _VIEWS[keys] = RechargeView(tuple(flags))
    return _VIEWS[keys]
