"""The connection type ``videodb``, and VideoDB's own SDK on such a connection."""

from __future__ import annotations

import asyncio
import os
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseHook
from airflow.sdk.log import mask_secret
from asgiref.sync import sync_to_async

from airflow_provider_videodb.api.client import BillingClient
from airflow_provider_videodb.api.parsing import to_json_number
from airflow_provider_videodb.api.redaction import QUOTED_RUN, Redactor
from airflow_provider_videodb.exceptions import (
    VideoDBConfigError,
    VideoDBError,
    VideoDBInsufficientCreditsError,
    VideoDBNoConnectionError,
)
from airflow_provider_videodb.get_provider_info import get_provider_info
from airflow_provider_videodb.hooks.connection import CONN_TYPE, ConnectionSettings
from airflow_provider_videodb.hooks.sdk_errors import is_shortage, status_of
from airflow_provider_videodb.version_compat import AirflowNotFoundException

if TYPE_CHECKING:
    from collections.abc import Iterator

    import videodb


class VideoDBHook(BaseHook):
    """
    Connects to VideoDB through an Airflow connection.

    :param videodb_conn_id: a connection of the type ``videodb``. Its password is the API key, its host the base URL
        (empty for production). Its extra may have ``timeout`` (seconds), ``max_retries``, ``max_topup_amount`` and
        ``monthly_topup_limit`` (US dollars), ``approval_above`` (US dollars), ``credit_account``, ``credit_reserve``
        (credits) and ``settlement_minutes``.
    :raises VideoDBConfigError: on first use, if the connection is missing or one of its fields breaks a rule.
    """

    conn_name_attr = "videodb_conn_id"
    default_conn_name = "videodb_default"
    conn_type = CONN_TYPE
    hook_name = "VideoDB"

    def __init__(self, videodb_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.videodb_conn_id = videodb_conn_id

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Return the labels of the form on Airflow 3.1. Later versions read them from the provider info."""
        info: Any = get_provider_info()
        behaviour = info["connection-types"][0]["ui-field-behaviour"]
        return {key.replace("-", "_"): value for key, value in behaviour.items()}

    @cached_property
    def settings(self) -> ConnectionSettings:
        """The checked connection, which is read once."""
        try:
            connection = self.get_connection(self.videodb_conn_id)
        except AirflowNotFoundException:
            raise _no_such_connection(self.videodb_conn_id) from None
        settings = ConnectionSettings.from_connection(connection)
        mask_secret(settings.api_key)
        return settings

    async def aget_settings(self) -> ConnectionSettings:
        """
        Read and check the connection in a trigger.

        Each call reads it again, because the connection may have changed to another account.
        """
        try:
            # Airflow masks the password with a synchronous call. Before 3.3.2, that call on the event loop of a
            # triggerer fails or stops every trigger. A thread avoids both. The end of a wait cancels its read. In
            # Airflow 3.1, a cancelled question leaves its response to the next one, and the triggerer ends.
            connection = await asyncio.shield(sync_to_async(self.get_connection)(self.videodb_conn_id))
        except AirflowNotFoundException:
            raise _no_such_connection(self.videodb_conn_id) from None
        return ConnectionSettings.from_connection(connection)

    def test_connection(self) -> tuple[bool, str]:
        """Read the balance, which changes nothing."""
        try:
            client = unlimited_client(self.settings)
            balance = to_json_number(client.get_usage().credit_balance)
        except VideoDBError as err:
            return False, str(err)
        return True, f"VideoDB at {client.base_url} accepted the API key. The balance is {balance} credits."

    def get_sdk(self) -> videodb.Connection:
        """
        Return VideoDB's SDK, connected to this account.

        The SDK has its own timeouts and retries. It holds the worker until a job ends, for 500 s at most. A longer job
        continues and is billed, and a second call submits it again.

        :raises VideoDBConfigError: if the SDK is not installed.
        """
        return _sdk().connect(api_key=self.settings.api_key, base_url=self.settings.base_url)

    @contextmanager
    def credit_shortage_as_error(self) -> Iterator[None]:
        """
        Turn the SDK's error about missing credits into :class:`VideoDBInsufficientCreditsError`.

        VideoDB may refuse a job at once with HTTP status 402. It may also accept a job that later fails, and then only
        the text of the SDK's error tells why. Both become the same error. Every other error passes through unchanged.
        """
        sdk = _sdk()
        try:
            yield
        except sdk.InvalidRequestError as err:
            if not is_shortage(err):
                raise
            shortage = VideoDBInsufficientCreditsError(
                f"The account of connection {self.videodb_conn_id!r} is short of credits for this job. The SDK says: "
                f'"{self._quotable(str(err))}". Work that VideoDB did before is billed. '
                "Next step: buy credits, then let the task pass its credit gate again.",
                status=status_of(err),
            )
            try:
                raise shortage from None
            finally:
                # The SDK's error carries the request, whose headers have the key. Error trackers read the context.
                shortage.__context__ = None

    def _quotable(self, text: str) -> str:
        """Return a server's words in short, without the key that they may contain."""
        hidden = Redactor(self.settings.api_key, run=QUOTED_RUN)(text.replace(self.settings.api_key, "***"))
        return " ".join(hidden.replace("Next step:", "next step:").split())[:300]


def _sdk() -> Any:
    try:
        import videodb
    except ModuleNotFoundError as err:
        if err.name != "videodb":
            raise
        raise VideoDBConfigError(
            "VideoDB's SDK is not installed where this task runs. Nothing was sent. Next step: install it there with "
            "pip install 'airflow-provider-videodb[sdk]'"
        ) from None
    return videodb


def unlimited_client(settings: ConnectionSettings) -> BillingClient:
    """
    Return a client without spending limits and approvals, for the operators of this package.

    An operator checks them itself and records each step of its purchase. A client that checks them again after its POST
    would leave the purchase unrecorded meanwhile.
    """
    return BillingClient(
        settings.api_key, base_url=settings.base_url, timeout=settings.timeout, max_retries=settings.max_retries
    )


def _no_such_connection(conn_id: str) -> VideoDBNoConnectionError:
    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    if variable in os.environ:
        # Airflow does not say what is wrong with it. Before 3.2, an extra that is not a JSON object also ends here.
        next_step = f"correct {variable}. Its extra has to be a JSON object."
    else:
        next_step = (
            "add it under Admin > Connections, or with\n"
            f"airflow connections add {conn_id} --conn-type videodb --conn-password API_KEY"
        )
    return VideoDBNoConnectionError(
        f"Airflow has no connection {conn_id!r} (videodb_conn_id), or cannot read {variable}. "
        f"Nothing was sent. Next step: {next_step}\n"
        "A base URL in a URI is percent-encoded:\n"
        "videodb://:API_KEY@https%3A%2F%2Fapi.videodb.io"
    )
