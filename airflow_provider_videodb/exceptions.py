"""
Every error this package raises, on one screen.

They are plain exceptions, not ``AirflowException``: a sensor's ``soft_fail`` turns every
``AirflowException`` into a skip, and a fault of the API is no reason to skip a gate. Operators wrap what no
retry can mend in ``AirflowFailException``; the error below is then its ``__cause__``.
"""

from __future__ import annotations


class VideoDBError(Exception):
    """Base of all errors of this package."""


class VideoDBConfigError(VideoDBError, ValueError):
    """A connection field or an argument breaks a rule. Nothing was sent."""


class VideoDBNoConnectionError(VideoDBConfigError):
    """Airflow has no such connection, or could not read it: it says the same of both."""


class VideoDBAPIError(VideoDBError):
    """
    A call to VideoDB failed.

    :param message: what was asked, what came back and what to do next; never the key, never a whole body.
    :param status: HTTP status of the answer, ``None`` where no answer arrived.
    :param error_code: ``error_code`` of VideoDB's error body.
    :param request_id: the request id header of the answer, for VideoDB's support.
    :param retry_after: seconds VideoDB asked to wait before the next call.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        error_code: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error_code = error_code
        self.request_id = request_id
        self.retry_after = retry_after


class VideoDBNotSentError(VideoDBAPIError):
    """The request provably never reached VideoDB: nothing was done there."""


class VideoDBOutcomeUnknownError(VideoDBAPIError):
    """The request was sent and its answer was lost: it may or may not have been carried out."""


class VideoDBRefusedError(VideoDBAPIError):
    """
    VideoDB understood the request and refused it: nothing was done.

    The answer is VideoDB's own: an error status or 200, with ``success: false`` or an ``error_code`` in a JSON object.
    """


class VideoDBAuthenticationError(VideoDBRefusedError):
    """401: the API key is wrong or revoked."""


class VideoDBInsufficientCreditsError(VideoDBRefusedError):
    """402: the account is short of credits."""


class VideoDBPermissionError(VideoDBRefusedError):
    """403: the API key may not do this."""


class VideoDBNotFoundError(VideoDBRefusedError):
    """404: there is no such thing at that address."""


class VideoDBRateLimitError(VideoDBAPIError):
    """429: too many calls, nothing was done. ``retry_after`` says how long VideoDB asked to wait, where it did."""


class VideoDBServerError(VideoDBAPIError):
    """5xx: VideoDB failed. A POST may or may not have been carried out."""


class VideoDBResponseError(VideoDBAPIError):
    """The answer cannot be read: a redirect, not JSON, a field missing or of the wrong type."""


class VideoDBGatewayError(VideoDBResponseError):
    """
    Something between here and VideoDB answered: a page, nothing, or a refusal in another shape than VideoDB's.

    It says nothing about the key or the request. A POST may or may not have been carried out.
    """


class VideoDBGatewayRateLimitError(VideoDBGatewayError, VideoDBRateLimitError):
    """429 of something between here and VideoDB: it wants fewer calls, and what VideoDB did is unknown."""


class VideoDBSettingsNotAppliedError(VideoDBError):
    """Auto-recharge settings, read back after writing them, are not what was asked for."""


class VideoDBLimitExceededError(VideoDBError):
    """A purchase breaks a spending limit, or a limit cannot be checked. No link was handed out."""


class VideoDBPurchaseError(VideoDBError):
    """Base of what can go wrong with a checkout after it was asked for."""


class VideoDBCheckoutExpiredError(VideoDBPurchaseError):
    """The checkout expired unpaid: its link can no longer be paid."""


class VideoDBCheckoutMissingError(VideoDBPurchaseError):
    """The checkout is not in VideoDB's list (any more), so whether it was paid cannot be told."""


class VideoDBPaymentTimeoutError(VideoDBPurchaseError):
    """Nobody paid within ``payment_timeout``; the link stays payable until the checkout expires."""


class VideoDBCreditsMissingError(VideoDBPurchaseError):
    """The balance did not reach what the job needs, in time."""


class VideoDBRecordUnreadableError(VideoDBPurchaseError):
    """Airflow could not say what is recorded of a purchase. Nothing was bought; a retry asks again."""


class VideoDBRecordNotKeptError(VideoDBPurchaseError):
    """Airflow did not keep what is recorded of a purchase. Nothing was bought on the strength of it."""


class VideoDBTryOverError(VideoDBPurchaseError):
    """The task was told to stop, or a newer try of it has begun. This try buys nothing and shows no link."""


class VideoDBPurchaseUnknownError(VideoDBPurchaseError):
    """A purchase was asked for and whether it was made or paid cannot be told. Nothing more was bought."""


#: What no retry of the same call can mend: a person has to act first.
PERMANENT_ERRORS = (
    VideoDBConfigError,
    VideoDBAuthenticationError,
    VideoDBPermissionError,
    VideoDBLimitExceededError,
    VideoDBPurchaseUnknownError,
)

#: After these a POST has provably changed nothing at VideoDB, unless they are among those below as well.
NO_EFFECT_ERRORS = (VideoDBNotSentError, VideoDBRefusedError, VideoDBRateLimitError)

#: What a POST may be answered with after VideoDB has already carried it out.
OUTCOME_UNKNOWN_ERRORS = (VideoDBOutcomeUnknownError, VideoDBServerError, VideoDBResponseError)
