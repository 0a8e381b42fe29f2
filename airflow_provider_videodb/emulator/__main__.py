"""``python -m airflow_provider_videodb.emulator``: a local VideoDB for a person, until Ctrl+C."""

from __future__ import annotations

import argparse
import json
import shlex
import signal
import sys
from typing import TYPE_CHECKING

from airflow_provider_videodb.emulator.http.errors import InvalidValueError
from airflow_provider_videodb.emulator.server import connection_to, serve
from airflow_provider_videodb.emulator.settings import DEFAULT_API_KEY, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

_LOOPBACK_NAMES = ("127.0.0.1", "localhost")
_LARGEST_PORT = 65535


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the emulator until it is interrupted; a wrong argument ends with status 2 and says what is wrong."""
    parser = _parser()
    options = vars(parser.parse_args(arguments))
    port, host = options.pop("port"), options.pop("host")
    if host not in _LOOPBACK_NAMES:
        parser.error(f"--host {host}: the emulator lets everybody pay and binds to 127.0.0.1 only")
    if not 0 <= port <= _LARGEST_PORT:
        parser.error(f"--port must be between 0 and {_LARGEST_PORT}, got {port}")
    try:
        settings = Settings.create(options)
    except InvalidValueError as error:
        parser.error(str(error))
    # uvicorn raises the signal again once it has shut down.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        serve(settings, port=port, announce=lambda base_url: _say(_greeting(base_url, settings)))
    except KeyboardInterrupt:
        _say("\nStopped.")
    except OSError as error:
        sys.exit(f"cannot listen on 127.0.0.1:{port}: {error.strerror}. Another --port, or --port 0 for a free one?")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_videodb.emulator",
        description="A local VideoDB with real accounting, on 127.0.0.1. Takes no money.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    usual = Settings()
    add("--port", type=int, default=8765, help="0 takes a free port")
    add("--host", default="127.0.0.1", help="loopback only")
    add("--credits", default=str(usual.credits), help="credits the account starts with")
    add("--api-key", default=DEFAULT_API_KEY, help="the key that is let in")
    add("--dialect", choices=("openapi", "sample"), default=usual.dialect, help="how answers are written")
    add(
        "--pay-after", metavar="SECONDS", default=argparse.SUPPRESS, help="pay every checkout by itself after this long"
    )
    add("--checkout-ttl", metavar="SECONDS", default=str(usual.checkout_ttl), help="until an unpaid checkout expires")
    add("--usage-lag", metavar="SECONDS", default="0", help="how old the usage figures are")
    add("--list-lag", metavar="SECONDS", default="0", help="until a new checkout shows in the list")
    add("--credits-per-dollar", default=str(usual.credits_per_dollar), help="what a paid dollar buys")
    add("--idempotency", choices=("honour", "ignore"), default=usual.idempotency, help="the Idempotency-Key header")
    add(
        "--charge-stored-card",
        action="store_true",
        default=argparse.SUPPRESS,
        help="a top-up is paid at once, without a visit to its link",
    )
    add(
        "--no-stored-card",
        dest="stored_card",
        action="store_false",
        default=argparse.SUPPRESS,
        help="no payment method on file",
    )
    add(
        "--price-index",
        metavar="CREDITS",
        default=argparse.SUPPRESS,
        help="per indexed video, instead of the two prices below",
    )
    add("--price-upload", metavar="CREDITS", default="0", help="per uploaded file")
    add("--price-speech-minute", metavar="DOLLARS", default=str(usual.price_speech_minute), help="of indexed speech")
    add("--price-scene", metavar="DOLLARS", default=str(usual.price_scene), help="per indexed scene")
    add(
        "--video-length",
        metavar="SECONDS",
        default=argparse.SUPPRESS,
        help="of every video; otherwise made up from its source",
    )
    return parser


def _greeting(base_url: str, settings: Settings) -> str:
    connection = shlex.quote(json.dumps(connection_to(base_url, settings.api_key)))
    return (
        "VideoDB emulator (no money moves). Ctrl+C stops it.\n\n"
        f"  Base URL    {base_url}\n"
        f"  API key     {settings.api_key}\n"
        f"  Pay here    {base_url}/\n\n"
        "The Airflow connection, to paste into the shell that runs Airflow:\n\n"
        f"  export AIRFLOW_CONN_VIDEODB_DEFAULT={connection}\n"
    )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
