"""The name of a Variable: readable, accepted by Airflow, one for each identity."""

from __future__ import annotations

import hashlib
import json
import re

import pytest

from airflow_provider_videodb.purchases.variables import (
    variable_key,
)


class TestVariableKey:
    PLAIN = re.compile(r"[A-Za-z0-9_.:+~-]{1,250}")

    @pytest.mark.parametrize(
        ("identity", "readable"),
        [
            (("cs_live_a1B2",), "prefix__cs_live_a1B2"),
            (("dag", "run", "task", "-1"), "prefix__dag__run__task__-1__DIGEST"),
            (
                ("dag.sub", "manual__2026-01-15T12:00:00.123456+00:00", "group.task", "3"),
                "prefix__dag.sub__manual__2026-01-15T12:00:00.123456+00:00__group.task__3__DIGEST",
            ),
        ],
    )
    def test_name_is_readable_if_airflow_accepts_it(self, identity: tuple[str, ...], readable: str) -> None:
        # A name that another version made must be found again.
        digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:8]

        assert variable_key("prefix", *identity) == readable.replace("DIGEST", digest)

    @pytest.mark.parametrize(
        "odd",
        [
            "a/b",
            "../../connections",
            "a?b=c",
            "a#b",
            "a%2Fb",
            "a b",
            "a\nb",
            "a\x00b",
            "a\x1fb",
            "é",
            "\u202e",
            "\ud800",
            "'; DROP TABLE variable; --",
            "x" * 251,
            "",
            "é" * 100,
        ],
        ids=ascii,
    )
    @pytest.mark.parametrize("rest", [(), ("run", "task", "-1")])
    def test_name_is_plain_whatever_an_id_holds(self, odd: str, rest: tuple[str, ...]) -> None:
        name = variable_key("prefix", odd, *rest)

        assert self.PLAIN.fullmatch(name)
        assert name.startswith("prefix__")
        assert name == variable_key("prefix", odd, *rest)
        assert name != variable_key("prefix", f"{odd}_", *rest)

    @pytest.mark.parametrize("length", [100, 242, 243, 244, 250, 251, 1000])
    def test_name_is_no_longer_than_airflow_accepts(self, length: int) -> None:
        names = {variable_key("prefix", f"{'x' * (length - 1)}{last}") for last in "abc"}

        assert len(names) == 3
        assert all(len(name) <= 250 for name in names)
        assert all(("x" * 50 in name) is (length <= 242) for name in names)

    @pytest.mark.parametrize(
        "identities",
        [
            [("a__b", "c"), ("a", "b__c"), ("a", "b", "c"), ("a__b__c",)],
            [("a_", "_b"), ("a", "__b"), ("a__", "b"), ("a", "_", "b")],
            [("d", "r__t", "t", "-1"), ("d", "r", "t__t", "-1"), ("d__r", "t", "t", "-1")],
            [("a/b", "c"), ("a", "b/c"), ("a/b/c",)],
            [("a", "b"), ("b", "a")],
            [("a\x1fb", "c"), ("a", "b\x1fc"), ("a", "b", "c"), ("a\x1fb\x1fc",)],
            [('a", "b',), ("a", "b"), ("a\\", "b")],
            [("\ud800", "x"), ("\\ud800", "x"), ("?", "x")],
            [("a", "1"), ("a", "-1"), ("a", "11")],
        ],
    )
    def test_name_differs_for_identities_that_look_alike(self, identities: list[tuple[str, ...]]) -> None:
        assert len({variable_key("prefix", *identity) for identity in identities}) == len(identities)
