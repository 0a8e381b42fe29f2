"""The tree of errors, and which of them a retry cannot help."""

from __future__ import annotations

import re

import pytest
from airflow.sdk.exceptions import AirflowException

from airflow_provider_videodb import exceptions
from airflow_provider_videodb.exceptions import VideoDBError, is_permanent

ERRORS = {name: found for name, found in vars(exceptions).items() if isinstance(found, type)}
PERMANENT = {
    "VideoDBConfigError",
    "VideoDBApprovalMissingError",
    "VideoDBApprovalRefusedError",
    "VideoDBAuthenticationError",
    "VideoDBPermissionError",
    "VideoDBLimitExceededError",
    "VideoDBNoHoldError",
    "VideoDBPaymentRefusedError",
    "VideoDBPurchaseUnknownError",
}


def drawn_tree() -> dict[str, tuple[str | None, str]]:
    """Return name, parent and remark of each error in the docstring of the module."""
    tree: dict[str, tuple[str | None, str]] = {}
    path: list[str] = []
    for indent, name, remark in re.findall(r"^    ( *)(VideoDB\w+)(.*)$", exceptions.__doc__ or "", re.MULTILINE):
        path[len(indent) // 4 :] = [name]
        tree[name] = (path[-2] if len(path) > 1 else None, remark)
    return tree


def test_docstring_draws_the_tree_as_it_is() -> None:
    tree = drawn_tree()
    assert tree.keys() == ERRORS.keys()
    for name, (parent, _) in tree.items():
        assert parent is None or ERRORS[parent] in ERRORS[name].__bases__
    assert {name for name, (_, remark) in tree.items() if remark == " (permanent)"} == PERMANENT


@pytest.mark.parametrize("name", ERRORS)
def test_error_is_permanent_where_a_person_has_to_act(name: str) -> None:
    assert is_permanent(ERRORS[name]("message")) is (name in PERMANENT)


@pytest.mark.parametrize("error", [ValueError("message"), KeyboardInterrupt()], ids=repr)
def test_foreign_error_is_not_permanent(error: BaseException) -> None:
    assert not is_permanent(error)


def test_no_error_is_skipped_by_soft_fail() -> None:
    assert not issubclass(VideoDBError, AirflowException)
