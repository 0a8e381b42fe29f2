"""Sends ready messages through notifiers of other providers."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from airflow.sdk import BaseNotifier

from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.notifications._fields import body_fields, filled_fields

if TYPE_CHECKING:
    from airflow.sdk import Context


class PaymentRequestNotifier(BaseNotifier):
    """
    Write the messages that another notifier sends.

    ``notifiers`` of :class:`~airflow_provider_videodb.operators.topup.TopupOperator` and
    :class:`~airflow_provider_videodb.operators.ensure_credits.EnsureCreditsOperator` take it. The notifier inside keeps
    its own connection, recipients and channel::

        PaymentRequestNotifier(SmtpNotifier(to="payer@example.com"))
        PaymentRequestNotifier(SlackNotifier(channel="#billing"))
        PaymentRequestNotifier(SlackWebhookNotifier(text=""))
        PaymentRequestNotifier(AppriseNotifier(body=""))

    It also asks for an approval, and sends reminders (see ``remind_every``). Further messages say that somebody has
    paid, that the link has expired, that the task has failed, or that nobody has to pay any longer.

    A notifier with ``html_content`` gets HTML, and one with ``text`` and ``blocks`` gets Slack's blocks. One with
    ``body`` gets the format of its ``body_format``, and one with ``text`` or ``message`` gets plain text. A ``subject``
    or ``title`` that you set is kept.

    :param notifier: sends the message. Its body must not be set. Pass an empty text if the notifier requires one.
    """

    def __init__(self, notifier: BaseNotifier) -> None:
        super().__init__()
        if not isinstance(notifier, BaseNotifier) or isinstance(notifier, PaymentRequestNotifier):
            raise VideoDBConfigError(
                f"PaymentRequestNotifier got {notifier!r:.200}, which is not a notifier of another provider. Nothing "
                "was sent. Next step: pass one, as in "
                "`PaymentRequestNotifier(SmtpNotifier(to='payer@example.com'))`."
            )
        body_fields(notifier)
        self.notifier = notifier

    def notify(self, context: Context) -> None:
        """
        Send the message about the task's payment or approval.

        :raises VideoDBConfigError: if the task has asked for neither.
        """
        from airflow_provider_videodb.notifications._message import message_of
        from airflow_provider_videodb.purchases.rules.approval_texts import ApprovalRequest
        from airflow_provider_videodb.purchases.rules.notifier_payment import PaymentRequest

        task = context["task"]
        # There is no payment before a person has approved it.
        said = getattr(task, "payment", None) or getattr(task, "approval_request", None)
        if not isinstance(said, PaymentRequest | ApprovalRequest):
            raise VideoDBConfigError(
                f"PaymentRequestNotifier was called for task {task.task_id}, which has asked for no payment. Nothing "
                "was sent. Next step: pass it in `notifiers` of a TopupOperator or an EnsureCreditsOperator, not as a "
                "callback."
            )
        # Several tasks may share the notifier.
        notifier = copy.copy(self.notifier)
        notifier.render_template_fields(context)
        # Set after rendering, so that nothing in the message is read as a template.
        for name, value in filled_fields(notifier, message_of(said)).items():
            setattr(notifier, name, value)
        notifier.notify(context)
