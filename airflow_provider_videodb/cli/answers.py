"""Resolves purchases with an unknown outcome."""

from __future__ import annotations

from datetime import UTC, datetime
from math import ceil
from textwrap import wrap
from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.configuration import conf
from airflow.models.variable import Variable

from airflow_provider_videodb.api.models import by_id
from airflow_provider_videodb.cli.account import AccountHook
from airflow_provider_videodb.cli.running import (
    audited,
    command,
    confirm,
    print_json,
    print_lines,
    program_of,
    refuse,
    say,
)
from airflow_provider_videodb.exceptions import VideoDBConfigError, VideoDBPurchaseUnknownError, without_next_step
from airflow_provider_videodb.overview.database import writing
from airflow_provider_videodb.overview.purchases import read_claims, read_purchases, read_variables
from airflow_provider_videodb.overview.recorded import (
    Question,
    RecordedPurchase,
    TaskName,
    question_of,
    seconds_until_known,
)
from airflow_provider_videodb.overview.text import printable, to_iso_moment
from airflow_provider_videodb.purchases.rules.candidates import candidates, describe_checkout
from airflow_provider_videodb.purchases.rules.resolution import BUY, apply_resolution, resolution_variable

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from airflow_provider_videodb.api.models import Checkout
    from airflow_provider_videodb.purchases.rules.purchase import Purchase

#: The width of a narrow terminal.
_WIDTH = 100
_NAMES = ("dag_id", "run_id", "task_id")


@command
def answer(args: Namespace) -> None:
    """List the open questions, or resolve one."""
    named = [name for name in _NAMES if getattr(args, name) is not None]
    is_given = bool(args.id or named or args.checkout or args.buy)
    if not is_given:
        questions, _, earlier = _open_questions(args.conn_id)
        _list(args, questions, earlier)
        return
    if bool(args.checkout) == args.buy:
        refuse("say how the purchase ended: give --checkout and the id of the task's checkout, or --buy if it has none")
    if bool(args.id) == bool(named):
        refuse("name the purchase by the ID that `answer` lists, or by --dag-id, --run-id and --task-id")
    if named and len(named) < len(_NAMES):
        missing = [f"--{name.replace('_', '-')}" for name in _NAMES if name not in named]
        refuse(f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing")
    answer_write(args)


@audited
def answer_write(args: Namespace) -> None:
    """Write the resolution of one question."""
    questions, checkouts, earlier = _open_questions(args.conn_id)
    question = _chosen(args, questions)
    resolution = BUY if args.buy else args.checkout
    lines = _consequence(question, resolution, checkouts, conn_id=args.conn_id)
    variable = resolution_variable(question.recorded.purchase)
    if variable in earlier:
        lines.append(f"This replaces the earlier resolution {earlier[variable]!r}.")
    say([printable(one) for one in lines])
    confirm(args, "Write this resolution?")
    _check_unchanged(args, question)
    with writing(f"write its Variable {variable!r}"):
        Variable.set(variable, resolution)
    print_lines(_what_now(question, resolution))


def _open_questions(conn_id: str) -> tuple[list[Question], list[Checkout], dict[str, str]]:
    hook = AccountHook(conn_id)
    account, client = hook.settings.fingerprint, hook.get_poll_client()
    records = read_purchases()
    for name in records.unreadable:
        say([f"The record of {printable(name)} cannot be read, so it is not listed."])
    unpaid = [one for one in records.purchases if not one.purchase.paid and one.purchase.has_effect]
    checkouts, now = client.list_checkouts(), datetime.now(UTC)
    say(_about_recent(unpaid, now))
    possible = {one.id for each in unpaid for one in candidates(each.purchase, checkouts) if one.id}
    claims = read_claims(possible)
    asked = (question_of(one, checkouts=checkouts, claims=claims, account=account, now=now) for one in unpaid)
    questions = sorted((one for one in asked if one is not None), key=lambda one: (one.name, one.id))
    earlier = read_variables(resolution_variable(one.recorded.purchase) for one in questions)
    return questions, checkouts, earlier


def _about_recent(unpaid: Sequence[RecordedPurchase], now: datetime) -> list[str]:
    """Say which purchases may have an open question soon."""
    waits = [(one, ceil(seconds_until_known(one, now=now))) for one in unpaid]
    return [
        f"{printable(str(one.task or 'A task'))} sent its purchase a moment ago, so its outcome is not known yet. "
        f"Next step: run this command again in {seconds} s."
        for one, seconds in waits
        if seconds
    ]


def _list(args: Namespace, questions: list[Question], earlier: dict[str, str]) -> None:
    now = datetime.now(UTC)
    given = {one.id: earlier.get(resolution_variable(one.recorded.purchase)) for one in questions}
    if args.output == "json":
        entries = [one.to_dict(resolution=given[one.id], now=now) for one in questions]
        print_json({"at": to_iso_moment(now), "conn_id": args.conn_id, "questions": entries})
        return
    if not questions:
        print_lines(["No purchase has an unknown outcome, so there are no open questions."])
    lines: list[str] = []
    for one in questions:
        state = one.recorded.state or "unknown"
        lines += [""] if lines else []
        lines += [f"{one.id}  {one.name} ({state})", *_indented(one.reason)]
        if given[one.id] is not None:
            lines.append(f"  A resolution is written already: {given[one.id]}. The task applies it when you clear it.")
        program = f"{program_of(args)} answer {one.id}"
        lines += [f"  If one is this task's:  {program} --checkout CHECKOUT_ID", f"  If none is:  {program} --buy"]
    print_lines(printable(line) for line in lines)


def _indented(text: str) -> list[str]:
    lines = []
    for line in text.splitlines():
        lines += wrap(line, width=_WIDTH, initial_indent="  ", subsequent_indent="  ", break_long_words=False)
    return lines


def _chosen(args: Namespace, questions: list[Question]) -> Question:
    if args.id:
        found = [one for one in questions if one.id == args.id]
        name = f"purchase {args.id}"
    else:
        task = TaskName(dag_id=args.dag_id, run_id=args.run_id, task_id=args.task_id, map_index=args.map_index)
        found = [one for one in questions if one.recorded.task == task]
        name = str(task)
    if not found:
        raise VideoDBConfigError(
            f"There is no open question about {printable(name)}. Nothing was written. Next step: list the open "
            f"questions with `{program_of(args)} answer`."
        )
    return found[0]


def _consequence(question: Question, resolution: str, checkouts: list[Checkout], *, conn_id: str) -> list[str]:
    """
    Say what the task will do with a resolution.

    :raises VideoDBConfigError: if the task could not apply it.
    """
    purchase = question.recorded.purchase
    lines = [f"{question.name} asked for {purchase.price}."]
    if resolution != BUY:
        named = by_id(checkouts).get(resolution)
        if named is None:
            raise VideoDBConfigError(
                f"Connection {conn_id} lists no checkout {printable(resolution)}. Nothing was written. Next step: take "
                "an id from the list of `answer`, or from VideoDB's console."
            )
        owner = read_claims([resolution]).get(resolution, question.recorded.task)
        if owner != question.recorded.task:
            raise VideoDBConfigError(
                f"Checkout {resolution} belongs to {owner or 'another task'}. Nothing was written. Next step: name "
                "the checkout of this task, or --buy if it has none."
            )
        lines.append(f"Its checkout is {describe_checkout(named)}.")
        if named.amount is not None and named.amount != purchase.amount:
            lines.append("The amounts differ.")
    try:
        after = apply_resolution(purchase, resolution, checkouts)
    except VideoDBPurchaseUnknownError as err:
        raise VideoDBConfigError(
            f"{without_next_step(str(err))} Nothing was written. Next step: correct the resolution, or start a new "
            "DAG run."
        ) from None
    return [*lines, _outcome(after)]


def _check_unchanged(args: Namespace, question: Question) -> None:
    """
    Refuse a resolution of something else than the person has seen.

    Somebody else may have resolved it meanwhile. The task would then apply this one to its next POST.
    """
    if not any(one.purchase == question.recorded.purchase for one in read_purchases().purchases):
        raise VideoDBConfigError(
            f"The purchase of {printable(question.name)} has changed since you were asked. Nothing was written. Next "
            f"step: list the open questions again with `{program_of(args)} answer`."
        )


def _outcome(after: Purchase) -> str:
    if after.paid:
        return "The task will count it as paid and buy nothing."
    if after.payment_url is not None:
        return "The task will wait for the payment of the link that it has shared."
    return f"The task may buy again. It will make a new checkout of {after.price}, if it still needs the credits."


def _what_now(question: Question, resolution: str) -> list[str]:
    lines = [
        f"The resolution {resolution!r} is written.",
        "Next step: clear the task. It then applies the resolution.",
        question.name,
    ]
    url = _page_of(question.recorded.task)
    return lines if url is None else [*lines, url]


def _page_of(task: TaskName | None) -> str | None:
    base = conf.get("api", "base_url", fallback="").rstrip("/")
    if task is None or not base.startswith(("https://", "http://")):
        return None
    dag_id, run_id, task_id = (quote(one, safe="") for one in (task.dag_id, task.run_id, task.task_id))
    page = f"{base}/dags/{dag_id}/runs/{run_id}/tasks/{task_id}"
    return page if task.map_index < 0 else f"{page}/mapped/{task.map_index}"
