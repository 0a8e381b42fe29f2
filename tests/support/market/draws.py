"""What the search draws from: names, clocks, lags, steps and lies."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import strategies as st

from airflow_provider_videodb.purchases.rules.candidates import CLOCK_SKEW, LIST_LAG
from tests.support.market.process import Step

AMOUNT, OTHER_AMOUNT = 10, 20
NAMES = ("a", "b", "c")
DAY = timedelta(days=1)
#: Less than the list lags.
SHORT = timedelta(seconds=5)

names = st.sampled_from(("a", "a", "a", "a", "a", "a", "b", "c"))
skews = (timedelta(0), CLOCK_SKEW, -CLOCK_SKEW)
clocks = st.sampled_from((*skews, *skews, DAY, -DAY))
lags = st.sampled_from([timedelta(0), LIST_LAG / 2, LIST_LAG - timedelta(milliseconds=100)])
steps = st.sampled_from([step for step in Step if step is not Step.SLEEPS])
late_steps = st.sampled_from([Step.SAVED, Step.ASKED_NEWEST, Step.CONNECTED, Step.CARRIED_OUT, Step.LINK_SHARED])
#: What the list shows of a checkout, to how many polls at most, and for how long; for good where nothing is said of it.
lies = st.tuples(
    st.sampled_from(["expired", "expired", "pending", "processing", "requires_action", None]),
    st.none() | st.integers(1, 3),
    st.sampled_from([SHORT, timedelta(minutes=2), timedelta(hours=6)]),
) | st.just((None, None, None))
ends = st.sampled_from(["thought dead", "cleared", "failed", "success", "marked and cleared"])
nths = st.sampled_from([1, 1, 2, 2, 3, 4, 5])
