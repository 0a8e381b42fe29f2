"""What all operators of this package share."""

from __future__ import annotations

from contextlib import contextmanager
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_videodb.exceptions import PERMANENT_ERRORS, VideoDBConfigError, VideoDBNoConnectionError
from airflow_provider_videodb.hooks.arguments import check_literal, emptied
from airflow_provider_videodb.version_compat import AirflowFailException

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal
    from typing import TypeAlias

    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg
    from jinja2 import Environment

    from airflow_provider_videodb.hooks.arguments import Reader

    #: A number of credits, or what renders to one.
    Credits: TypeAlias = float | Decimal | str | XComArg
    #: A whole number of US dollars, or what renders to one.
    Dollars: TypeAlias = int | str | XComArg
    #: A text, or what renders to one.
    Text: TypeAlias = str | XComArg

_Value = TypeVar("_Value")


class NotGiven(Enum):
    """
    The type of :data:`NOT_GIVEN`.

    :meta private:
    """

    NOT_GIVEN = "not given"


#: The default of a limit or floor: ``None`` could not be told from a limit that came to nothing on its way.
NOT_GIVEN: Final = NotGiven.NOT_GIVEN


class RejectsEmptyTemplates(BaseOperator):
    """
    Tells an argument that was not given from one that holds nothing, and checks literals in the constructor.

    A limit or a floor that holds ``None`` must not count as no limit and no floor.

    :meta private:
    """

    #: The templated arguments of our own constructors, and whether each was given.
    _given: Mapping[str, bool] = MappingProxyType({})
    #: How each argument is parsed.
    _readers: Mapping[str, Reader] = MappingProxyType({})

    def templated(self, name: str, value: object, read: Reader, *, may_be_none: bool = False) -> Any:
        """
        Check a templated argument as far as it is a literal, and return what the operator keeps until it is rendered.

        :param read: how the argument is read; see ``arguments.py``.
        :param may_be_none: whether ``None`` is the same as not giving it.
        :raises VideoDBConfigError: naming the argument, its value and the rule.
        """
        is_given = value is not NOT_GIVEN and not (may_be_none and value is None)
        self._given = {**self._given, name: is_given}
        self._readers = {**self._readers, name: read}
        if not is_given:
            return None
        with final_in_a_task():
            if value is None:
                raise emptied(name)
            check_literal(read, name, value)
        return value

    def plain(self, name: str, value: _Value, read: Reader) -> _Value:
        """
        Check an argument that is not a template, and return it.

        :raises VideoDBConfigError: naming the argument, its value and the rule.
        """
        self._readers = {**self._readers, name: read}
        with final_in_a_task():
            read(name, value)
        return value

    def parsed(self) -> dict[str, Any]:
        """
        Parse every argument, once templates are rendered.

        :return: by name; ``None`` for an optional argument that was not given.
        :raises VideoDBConfigError: naming the argument, its value and the rule.
        """
        self.reject_empty()
        return {
            name: None if getattr(self, name) is None and name in self._given else read(name, getattr(self, name))
            for name, read in self._readers.items()
        }

    def note_given(self) -> None:
        """Take what an argument holds before it is rendered for given: a subclass or a policy may have set it."""
        self._given = {name: given or getattr(self, name) is not None for name, given in self._given.items()}

    def render_template_fields(self, context: Context, jinja_env: Environment | None = None) -> None:
        """Render as Airflow does, after a look at what is there to render."""
        self.note_given()
        super().render_template_fields(context, jinja_env)

    def reject_empty(self) -> None:
        """
        Check, once templates are rendered, that each argument that was given is still there.

        :raises VideoDBConfigError: naming the one that is not.
        """
        for name, given in self._given.items():
            if given and getattr(self, name) is None:
                raise emptied(name)


@contextmanager
def fail_without_retry() -> Iterator[None]:
    """Turn what no retry can mend into the exception that Airflow does not retry; the typed one is its cause."""
    try:
        yield
    except VideoDBNoConnectionError:
        # Airflow says the same of a connection that it could not read just now.
        raise
    except PERMANENT_ERRORS as err:
        raise AirflowFailException(str(err)) from err


@contextmanager
def final_in_a_task() -> Iterator[None]:
    """Let a DAG file fail with the typed error, and a mapped task, which Airflow constructs as it runs, for good."""
    try:
        yield
    except VideoDBConfigError as err:
        if not _is_running():
            raise
        raise AirflowFailException(str(err)) from err


def _is_running() -> bool:
    from airflow.sdk import get_current_context

    try:
        get_current_context()
    except RuntimeError:
        return False
    return True
