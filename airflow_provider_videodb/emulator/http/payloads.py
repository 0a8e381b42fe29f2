"""JSON bodies and query strings."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NoReturn

from fastapi.responses import JSONResponse

from airflow_provider_videodb.emulator.errors import InvalidValueError

if TYPE_CHECKING:
    from fastapi import Request

LARGEST_BODY = 1_000_000


class ASCIIJSONResponse(JSONResponse):
    """
    A JSON response in ASCII, as Flask writes it.

    It can hold half of a surrogate pair, which UTF-8 cannot encode.
    """

    def render(self, content: Any) -> bytes:
        """Encode the body."""
        return json.dumps(content, separators=(",", ":")).encode("ascii")


async def json_object(request: Request) -> dict[str, Any]:
    """Parse the body as a JSON object with exact numbers."""
    body = await request.body()
    if len(body) > LARGEST_BODY:
        raise InvalidValueError(f"the body must have at most {LARGEST_BODY} bytes")
    try:
        payload = json.loads(body, parse_float=Decimal, parse_constant=_refuse_constant)
    # Thousands of nested brackets raise RecursionError.
    except (ValueError, ArithmeticError, RecursionError):
        raise InvalidValueError("the body must be a JSON object") from None
    if not isinstance(payload, dict):
        raise InvalidValueError("the body must be a JSON object")
    return payload


def query_whole(request: Request, name: str, *, default: int, at_least: int, at_most: int) -> int:
    """Parse a whole number from the query string."""
    values = request.query_params.getlist(name)
    if not values:
        return default
    # int() also accepts "1_000", " 7" and digits of other alphabets.
    if len(values) > 1 or not (values[0].isascii() and values[0].isdigit() and len(values[0]) < len(str(at_most)) + 1):
        raise InvalidValueError(f"{name} must be one whole number from {at_least} to {at_most}")
    number = int(values[0])
    if not at_least <= number <= at_most:
        raise InvalidValueError(f"{name} must be one whole number from {at_least} to {at_most}")
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
