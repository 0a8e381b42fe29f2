"""What the emulator refuses, before anybody has said how that looks over HTTP."""

from __future__ import annotations


class EmulatorError(Exception):
    """Base of everything the emulator refuses to do; nothing has changed when one is raised."""


class InvalidValueError(EmulatorError):
    """A value the request, the setting or the argument must not have."""


class NotFoundError(EmulatorError):
    """Nothing is known under that id."""


class InsufficientCreditsError(EmulatorError):
    """The credit balance does not cover the operation; nothing was charged."""


class CheckoutClosedError(EmulatorError):
    """The checkout cannot be paid, or cannot expire, any more."""


class IdempotencyConflictError(EmulatorError):
    """An idempotency key came back with another purchase than the one it was first used for."""
