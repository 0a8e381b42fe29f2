"""The button that leads from a task's page to the payment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import TaskInstanceKey

#: XCom key of the payment link.
PAYMENT_URL_KEY = "payment_url"


class CheckoutLink(BaseOperatorLink):
    """
    Open the payment page of the task's checkout.

    The worker calls ``get_link`` each time the task leaves it: to wait, to be retried, or at its end. The API server
    shows a button if the link is not empty. So the button disappears once the task sees a payment or an expiry. A
    checkout that expires after the task has failed keeps its button, because nothing runs then.

    :param amount: US dollars, for the name of the button. Airflow reads that name when it parses the DAG file, so only
        a literal amount can be part of it.
    """

    name = "Pay for credits"

    def __init__(self, amount: int | None = None) -> None:
        if amount is not None:
            self.name = f"Pay {amount} USD"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """Return the payment link, or an empty text if there is nothing to pay."""
        url = XCom.get_value(ti_key=ti_key, key=PAYMENT_URL_KEY)
        return url if isinstance(url, str) and operator.has_open_checkout else ""
