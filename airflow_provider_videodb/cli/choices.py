"""Finds the hold or account that is meant. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from airflow_provider_videodb.cli.running import refuse
from airflow_provider_videodb.exceptions import VideoDBConfigError
from airflow_provider_videodb.holds.rules.records import Kind, holder_of

if TYPE_CHECKING:
    from argparse import Namespace

    from airflow_provider_videodb.holds.rules.account import View

#: The account of a deployment that has set no name: the id of the default connection.
DEFAULT_ACCOUNT = "videodb_default"
_ID = re.compile(r"[0-9a-f]{16}(?:\.[0-9]+)?")


def choose_hold(args: Namespace) -> str:
    """Return the holder that the arguments name."""
    names = {"--dag-id": args.dag_id, "--run-id": args.run_id, "--task-id": args.task_id}
    missing = [option for option, value in names.items() if value is None]
    if args.id is not None:
        if len(missing) < len(names) or args.map_index >= 0:
            refuse("give either an ID or --dag-id, --run-id, --task-id and --map-index, not both")
        if not _ID.fullmatch(args.id):
            refuse(f"{args.id!r} is not an ID of a hold; see the ID column of `holds list`")
        return args.id if "." in args.id else f"{args.id}.-1"
    if len(missing) == len(names):
        refuse("name the hold by the ID that `holds list` shows, or by --dag-id, --run-id and --task-id")
    if missing:
        refuse(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing")
    return holder_of(args.dag_id, args.run_id, args.task_id, args.map_index)


def choose_account(given: str | None, view: View, *, kind: Kind | None = None) -> str:
    """
    Return the account that is meant.

    Without a name, it is the only account with flags.

    :param kind: accounts with such a flag come first. The others count only if there are none.
    :raises VideoDBConfigError: if there are several.
    """
    if given is not None:
        return given
    known = {flag.account for flag in view.flags if kind in {None, flag.kind}} or {one.account for one in view.flags}
    if len(known) > 1:
        raise VideoDBConfigError(
            f"There are {len(known)} accounts: {', '.join(sorted(known))}. Nothing was changed. Next step: name "
            "one with --account."
        )
    return known.pop() if known else DEFAULT_ACCOUNT
