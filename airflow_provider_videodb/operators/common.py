"""What all operators of this package share."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_videodb.airflow_exceptions import AirflowFailException

if TYPE_CHECKING:
    from collections.abc import Iterator


class GivenArguments(BaseOperator):
    """
    Tells an argument that was not given from one whose template came to nothing.

    A limit or a floor that a template renders to ``None`` must not count as no limit and no floor.

    :meta private:
    """

    _given: tuple[str, ...] = ()

    def note_given_arguments(self) -> None:
        """Remember, at the end of the constructor, which templated arguments were given."""
        self._given = tuple(name for name in self.template_fields if getattr(self, name) is not None)

    def refuse_empty_arguments(self) -> None:
        """
        Check, once templates are rendered, that each of them is still there.

        :raises VideoDBConfigError: naming the one that is not.
        """
        from airflow_provider_videodb.exceptions import VideoDBConfigError

        for name in self._given:
            if getattr(self, name) is None:
                raise VideoDBConfigError(
                    f"{name} was given to the task, but what it was given came to None. Nothing was sent. Correct the "
                    "template or the task that it takes its value from."
                )


@contextmanager
def no_retry_for_what_a_person_must_mend() -> Iterator[None]:
    """Turn what no retry can mend into the exception that Airflow does not retry; the typed one is its cause."""
    from airflow_provider_videodb.exceptions import PERMANENT_ERRORS, VideoDBNoConnectionError

    try:
        yield
    except VideoDBNoConnectionError:
        # Airflow says the same of a connection that it could not read just now.
        raise
    except PERMANENT_ERRORS as err:
        raise AirflowFailException(str(err)) from err
