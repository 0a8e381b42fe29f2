"""carry_out runs the steps of a generator and hands back each result or error."""

import pytest

from airflow_provider_videodb.holds.stepping import carry_out


def test_each_step_receives_its_result():
    def steps():
        return (yield 1), (yield 2)

    assert carry_out(steps(), lambda step: step * 10) == (10, 20)


def test_steps_can_clean_up_after_an_error():
    done = []

    def steps():
        try:
            yield "put"
        except ValueError:
            yield "remove"
            raise

    def do(step):
        done.append(step)
        if step == "put":
            raise ValueError(step)

    with pytest.raises(ValueError, match="put"):
        carry_out(steps(), do)
    assert done == ["put", "remove"]
