"""
Every error that this package raises.

::

    VideoDBError
        VideoDBConfigError (permanent)
            VideoDBNoConnectionError (not permanent)
        VideoDBAPIError
            VideoDBNotSentError
            VideoDBOutcomeUnknownError
            VideoDBRefusedError
                VideoDBAuthenticationError (permanent)
                VideoDBInsufficientCreditsError
                VideoDBPermissionError (permanent)
                VideoDBNotFoundError
            VideoDBRateLimitError
                VideoDBGatewayRateLimitError (also a VideoDBGatewayError)
            VideoDBServerError
            VideoDBResponseError
                VideoDBGatewayError
        VideoDBSettingsNotAppliedError
        VideoDBLimitExceededError (permanent)
        VideoDBNoHoldError (permanent)
        VideoDBPurchaseError
            VideoDBCheckoutExpiredError
            VideoDBCheckoutMissingError
            VideoDBPaymentTimeoutError
            VideoDBPaymentRefusedError (permanent)
            VideoDBCreditsMissingError
            VideoDBRecordUnreadableError
            VideoDBRecordNotKeptError
            VideoDBTryOverError
            VideoDBPurchaseUnknownError (permanent)
            VideoDBApprovalRefusedError (permanent)
            VideoDBApprovalMissingError (permanent)

A permanent error needs a person, so a retry cannot help. An operator raises it as ``AirflowFailException``, which
Airflow does not retry; the error of this package is the ``__context__`` of that exception. All other errors leave a
task as they are.

No error derives from ``AirflowException``, because ``soft_fail`` turns every ``AirflowException`` of a sensor into a
skip. A fault of VideoDB must not skip a gate.

Each text reads ``<what happened>. <state>. Next step: <imperative>.``; a line break in it separates lines of the log.
"""

from __future__ import annotations


class VideoDBError(Exception):
    """Base of all errors of this package."""


class VideoDBConfigError(VideoDBError, ValueError):
    """A connection field or an argument breaks a rule. Nothing was sent."""


class VideoDBNoConnectionError(VideoDBConfigError):
    """
    Airflow did not return the connection.

    Airflow raises the same error for a missing connection and for one that it could not read. So a retry may help.
    """


class VideoDBAPIError(VideoDBError):
    """
    A call to VideoDB failed.

    :param message: the request, the response and the next step. Never contains the API key or a whole body.
    :param method: ``GET`` or ``POST``; ``None`` if another process met the error.
    :param status: HTTP status of the response, ``None`` if no response arrived.
    :param error_code: ``error_code`` of VideoDB's error body.
    :param request_id: request id header of the response, for VideoDB's support.
    :param retry_after: seconds that VideoDB asked to wait before the next call.
    """

    def __init__(
        self,
        message: str,
        *,
        method: str | None = None,
        status: int | None = None,
        error_code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.method = method
        self.status = status
        self.error_code = error_code
        self.request_id = request_id
        self.retry_after = retry_after


class VideoDBNotSentError(VideoDBAPIError):
    """The request never reached VideoDB, so VideoDB did nothing."""


class VideoDBOutcomeUnknownError(VideoDBAPIError):
    """The request was sent and the response was lost. VideoDB may have carried it out."""


class VideoDBRefusedError(VideoDBAPIError):
    """
    VideoDB refused the request and did nothing.

    VideoDB itself wrote the response: a JSON object with ``success: false``. Its HTTP status is
    an error or 200.
    """


class VideoDBAuthenticationError(VideoDBRefusedError):
    """401: the API key is wrong or revoked."""


class VideoDBInsufficientCreditsError(VideoDBRefusedError):
    """402: the account does not have enough credits."""


class VideoDBPermissionError(VideoDBRefusedError):
    """403: the API key lacks a permission."""


class VideoDBNotFoundError(VideoDBRefusedError):
    """404: VideoDB knows nothing under this address."""


class VideoDBRateLimitError(VideoDBAPIError):
    """429: there were too many calls. VideoDB did nothing; ``retry_after`` is the pause it asked for, if any."""


class VideoDBServerError(VideoDBAPIError):
    """5xx: VideoDB failed. It may have carried out a POST."""


class VideoDBResponseError(VideoDBAPIError):
    """The response is unreadable: a redirect, not JSON, or a field that is missing or has the wrong type."""


class VideoDBGatewayError(VideoDBResponseError):
    """
    A gateway or proxy responded instead of VideoDB.

    The response says nothing about the API key or the request. VideoDB may have carried out a POST.
    """


class VideoDBGatewayRateLimitError(VideoDBGatewayError, VideoDBRateLimitError):
    """429 of a gateway or proxy. VideoDB may have carried out a POST."""


class VideoDBSettingsNotAppliedError(VideoDBError):
    """VideoDB accepted auto-recharge settings but returns others."""


class VideoDBLimitExceededError(VideoDBError):
    """A purchase exceeds a spending limit, or the limit cannot be checked. No payment link was shared."""


class VideoDBNoHoldError(VideoDBError):
    """A job was about to run without the credit hold of its gate. The job did not run."""


class VideoDBPurchaseError(VideoDBError):
    """Base of the errors of one purchase."""


class VideoDBCheckoutExpiredError(VideoDBPurchaseError):
    """VideoDB calls the checkout expired, and nobody paid it."""


class VideoDBCheckoutMissingError(VideoDBPurchaseError):
    """VideoDB's list does not show the checkout, so nobody can tell whether it was paid."""


class VideoDBPaymentTimeoutError(VideoDBPurchaseError):
    """Nobody paid within ``payment_timeout``. The link stays payable until the checkout expires."""


class VideoDBPaymentRefusedError(VideoDBPurchaseError):
    """A person chose *Cancel* in Airflow. The link stays payable until the checkout expires."""


class VideoDBCreditsMissingError(VideoDBPurchaseError):
    """The balance did not reach the required credits in time."""


class VideoDBRecordUnreadableError(VideoDBPurchaseError):
    """Airflow could not return the record of a purchase. Nothing was bought; a retry reads the record again."""


class VideoDBRecordNotKeptError(VideoDBPurchaseError):
    """Airflow did not save the record of a purchase, so nothing was bought."""


class VideoDBTryOverError(VideoDBPurchaseError):
    """Airflow stopped the task or started a newer try. This try buys nothing and shares no link."""


class VideoDBPurchaseUnknownError(VideoDBPurchaseError):
    """VideoDB may have made or charged a checkout. Nothing more was bought."""


class VideoDBApprovalRefusedError(VideoDBPurchaseError):
    """A person refused the purchase, or nobody approved it in time. Nothing was bought."""


class VideoDBApprovalMissingError(VideoDBPurchaseError):
    """A person has to approve the purchase, and nobody was or can be asked here. Nothing was bought."""


#: VideoDB did nothing, unless the error is also one of ``OUTCOME_UNKNOWN_ERRORS``.
NO_EFFECT_ERRORS = (VideoDBNotSentError, VideoDBRefusedError, VideoDBRateLimitError)

#: VideoDB may have carried out the POST.
OUTCOME_UNKNOWN_ERRORS = (VideoDBOutcomeUnknownError, VideoDBServerError, VideoDBResponseError)

_PERMANENT_ERRORS = (
    VideoDBConfigError,
    VideoDBAuthenticationError,
    VideoDBPermissionError,
    VideoDBLimitExceededError,
    VideoDBNoHoldError,
    VideoDBPaymentRefusedError,
    VideoDBPurchaseUnknownError,
    VideoDBApprovalRefusedError,
    VideoDBApprovalMissingError,
)


def is_permanent(error: BaseException) -> bool:
    """Tell whether a person has to act before a retry can succeed."""
    return isinstance(error, _PERMANENT_ERRORS) and not isinstance(error, VideoDBNoConnectionError)


def without_next_step(text: str) -> str:
    """Return the text of an error without its next step, for a task that continues."""
    return text.partition("Next step: ")[0].rstrip()
