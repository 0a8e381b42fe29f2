"""The button on the task's page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, TaskInstanceKey

#: XCom key of the payment link.
PAYMENT_URL_KEY = "payment_url"


class CheckoutLink(BaseOperatorLink):
    """Opens the payment page of the task's checkout; there while the task waits, and afterwards."""

    name = "Pay VideoDB checkout"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's signature
        """Return the link that the task pushed, or nothing if there is none (yet)."""
        url = XCom.get_value(ti_key=ti_key, key=PAYMENT_URL_KEY)
        return url if isinstance(url, str) else ""
