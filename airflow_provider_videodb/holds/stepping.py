"""Carries out the steps of a generator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

_StepT = TypeVar("_StepT")
_ResultT = TypeVar("_ResultT")


def carry_out(steps: Generator[_StepT, Any, _ResultT], do: Callable[[_StepT], Any]) -> _ResultT:
    """
    Carry out each step, and return the result of the generator.

    An error of a step is raised inside the generator, so that the generator can clean up.

    :param do: carries out one step, and returns its result.
    """
    try:
        step = next(steps)
        while True:
            try:
                result = do(step)
            except BaseException as err:  # noqa: BLE001 - the steps raise it again
                step = steps.throw(err)
            else:
                step = steps.send(result)
    except StopIteration as end:
        ended: _ResultT = end.value
        return ended
