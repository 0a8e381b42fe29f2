"""
The errors of the emulator.

A message names the value and the rule and says no more, because API responses carry it as VideoDB's would. The control
API and the command line add `next_step` to it. Nothing has changed when one of these errors is raised.
"""

from __future__ import annotations

from typing import ClassVar


class EmulatorError(Exception):
    """Base class of every refusal."""

    next_step: ClassVar[str]


class InvalidValueError(EmulatorError):
    """A request, a setting or an argument has a wrong value."""

    next_step = "correct the value and try again"


class NotFoundError(EmulatorError):
    """The emulator has nothing with this id."""

    next_step = "take an id from GET /_emulator/state"


class UnknownAccountError(EmulatorError):
    """The emulator has no account with this name."""

    next_step = "take a name from GET /_emulator/accounts"


class InsufficientCreditsError(EmulatorError):
    """The balance does not cover the charge."""

    next_step = "raise the balance with POST /_emulator/balance"


class CheckoutClosedError(EmulatorError):
    """The checkout can no longer be paid or expired."""

    next_step = "make a new checkout"


class IdempotencyConflictError(EmulatorError):
    """An idempotency key was reused for a different purchase."""

    next_step = "use a new key for a new purchase"


class UnauthorisedError(EmulatorError):
    """The API key is missing or wrong."""

    next_step = "send the API key that the emulator printed in x-access-token"
