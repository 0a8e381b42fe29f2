"""One account, as a test uses it."""

from __future__ import annotations

import json

from airflow_provider_videodb.emulator.control.controls import Controls


class Account(Controls):
    """
    One account of an emulator.

    It has the operations of `Controls`, its API key and its Airflow connection.

    `Emulator` is its own first account. `Emulator.add_account` opens another one.
    """

    @property
    def name(self) -> str:
        """The name of the account."""
        return self.state.name

    @property
    def base_url(self) -> str:
        """The address of the emulator, without a trailing slash."""
        if not self.state.base_url:
            raise RuntimeError("the emulator has not been started. Next step: use it in a with block, or call start()")
        return self.state.base_url

    @property
    def api_key(self) -> str:
        """The API key of this account."""
        return self.settings.api_key

    @property
    def connection(self) -> dict[str, str]:
        """The Airflow connection to this account."""
        return {"conn_type": "videodb", "password": self.api_key, "host": self.base_url}

    @property
    def connection_json(self) -> str:
        """The Airflow connection as a value for ``AIRFLOW_CONN_…``."""
        return json.dumps(self.connection)
