"""A task that reminds people by mail."""

from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk import dag

from airflow_provider_videodb.notifications.payment_request import PaymentRequestNotifier
from airflow_provider_videodb.operators.topup import TopupOperator


@dag(schedule=None)
def live_reminders() -> None:
    TopupOperator(
        task_id="top_up",
        amount=20,
        poll_interval=1,
        remind_every=4,
        notifiers=[PaymentRequestNotifier(SmtpNotifier(to="payer@example.com", smtp_conn_id="inbox_mail"))],
    )


live_reminders()
