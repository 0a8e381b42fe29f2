"""What all operators share: arguments that must not vanish, failures that a person understands."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_videodb.exceptions import VideoDBError, is_permanent
from airflow_provider_videodb.hooks.arguments import check_literal, emptied
from airflow_provider_videodb.hooks.log_page import log_error
from airflow_provider_videodb.version_compat import AirflowFailException, TaskDeferralError, TaskDeferralTimeout

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from decimal import Decimal
    from typing import TypeAlias

    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg
    from airflow.sdk.types import Logger
    from jinja2 import Environment

    from airflow_provider_videodb.hooks.arguments import Reader

    #: A number of credits, or a template or XComArg that renders to one.
    Credits: TypeAlias = float | Decimal | str | XComArg
    #: A whole number of US dollars, or a template or XComArg that renders to one.
    Dollars: TypeAlias = int | str | XComArg
    #: A text, or a template or XComArg that renders to one.
    Text: TypeAlias = str | XComArg

_Value = TypeVar("_Value")


class NotGiven(Enum):
    """
    The type of :data:`NOT_GIVEN`.

    :meta private:
    """

    NOT_GIVEN = "not given"


#: The default of a limit or floor. ``None`` cannot be the default, because a broken template also renders to ``None``.
NOT_GIVEN: Final = NotGiven.NOT_GIVEN


class RejectsEmptyTemplates(BaseOperator):
    """
    Refuse an argument whose template rendered to nothing.

    The DAG author may have set a limit. If its template renders to ``None``, the task must not run without that limit.

    :meta private:
    """

    videodb_conn_id: str
    #: The templated arguments of our own constructors, and whether the DAG author gave each.
    _given: Mapping[str, bool] = MappingProxyType({})
    #: How each argument is parsed.
    _readers: Mapping[str, Reader] = MappingProxyType({})

    def templated(self, name: str, value: object, read: Reader, *, may_be_none: bool = False) -> Any:
        """
        Check a templated argument if it is a literal.

        :param read: how to read the argument; see ``hooks/arguments.py``.
        :param may_be_none: whether ``None`` means that the argument was not given.
        :return: the value, or ``None`` if it was not given.
        :raises VideoDBConfigError: names the argument, its value and the rule.
        """
        is_given = value is not NOT_GIVEN and not (may_be_none and value is None)
        self._given = {**self._given, name: is_given}
        self._readers = {**self._readers, name: read}
        if not is_given:
            return None
        with self._fail_mapped_task():
            if value is None:
                raise emptied(name)
            check_literal(read, name, value)
        return value

    def plain(self, name: str, value: _Value, read: Reader) -> _Value:
        """
        Check an argument that is not a template, and return it.

        :raises VideoDBConfigError: names the argument, its value and the rule.
        """
        self._readers = {**self._readers, name: read}
        with self._fail_mapped_task():
            read(name, value)
        return value

    def parsed(self, *names: str) -> dict[str, Any]:
        """
        Parse arguments after rendering.

        :param names: of the arguments; all of them if none is named.
        :return: the values by name; ``None`` for an optional argument that was not given.
        :raises VideoDBConfigError: names the argument, its value and the rule.
        """
        return {name: self._parse(name, self._readers[name]) for name in names or self._readers}

    def note_given(self) -> None:
        """Count a value that a subclass or a cluster policy has set as given."""
        self._given = {name: given or getattr(self, name) is not None for name, given in self._given.items()}

    def render_template_fields(self, context: Context, jinja_env: Environment | None = None) -> None:
        """Note which arguments were given, then render as Airflow does."""
        self.note_given()
        super().render_template_fields(context, jinja_env)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume as Airflow does, and log the next step if Airflow itself ended the wait."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except (TaskDeferralError, TaskDeferralTimeout) as err:
            log_error(self.log, err, conn_id=self.videodb_conn_id)
            raise

    def _parse(self, name: str, read: Reader) -> Any:
        value = getattr(self, name)
        if value is not None or name not in self._given:
            return read(name, value)
        if self._given[name]:
            raise emptied(name)
        return None

    def _fail_mapped_task(self) -> AbstractContextManager[None]:
        """
        Fail a mapped task without a retry if its argument is wrong.

        Airflow constructs a mapped task when it runs, so no DAG import error can show this mistake.
        """
        return fail_without_retry(self.log) if _is_running() else nullcontext()


@contextmanager
def fail_without_retry(log: Logger, *, conn_id: object = None) -> Iterator[None]:
    """
    Log what a person has to do; retry only if that helps.

    A permanent error becomes ``AirflowFailException``, which Airflow does not retry. Its ``__context__`` is the error
    of this package, and ``from None`` keeps the log page from showing the same text twice.

    :param conn_id: the task's connection, for the log.
    """
    try:
        yield
    except VideoDBError as err:
        log_error(log, err, conn_id=conn_id)
        if is_permanent(err):
            raise AirflowFailException(str(err)) from None
        raise


def _is_running() -> bool:
    from airflow.sdk import get_current_context

    try:
        get_current_context()
    except RuntimeError:
        return False
    return True
