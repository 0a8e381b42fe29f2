import pytest

# It takes PostgreSQL, Redis and four minutes, so it runs only when its path is given.
collect_ignore = ["test_distributed.py"]

pytest.register_assert_rewrite("tests.chaos.assertions", "tests.chaos.holds_scenario", "tests.chaos.scenario")
