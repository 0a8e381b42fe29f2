"""
Lists the safeguards of the money code, each with what takes it out.

``make ablations`` takes them out one by one and lets the state machine search. A safeguard whose absence it does not
notice is not needed, or not tried.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.api.models import CheckoutStatus
from airflow_provider_videodb.exceptions import VideoDBResponseError
from airflow_provider_videodb.purchases import claims, current_try, executor, journal, stores, variables
from airflow_provider_videodb.purchases import posting as poster
from airflow_provider_videodb.purchases.rules import decide as purchase
from airflow_provider_videodb.purchases.rules import tracking as payment
from airflow_provider_videodb.purchases.rules.purchase import Purchase, merged

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    Patch = pytest.MonkeyPatch

_LONG_AGO = timedelta(days=365)


@dataclass(frozen=True)
class Ablation:
    """
    A safeguard, and how to do without it.

    :param breaks: what the state machine then reports, in part.
    """

    name: str
    take_out: Callable[[Patch], None]
    breaks: str


def _nothing(*_args: object, **_kwargs: object) -> None:
    pass


def _replacing(owner: object, name: str, value: object) -> Callable[[Patch], None]:
    return lambda patch: patch.setattr(owner, name, value)


def _no_try_id(patch: Patch) -> None:
    made = current_try.CurrentTry.__init__

    def nameless(self: Any, *args: Any, **kwargs: Any) -> None:
        made(self, *args, **kwargs)
        self.id = "a try"

    patch.setattr(current_try.CurrentTry, "__init__", nameless)


def _no_question_before_the_post(patch: Patch) -> None:
    def unasking(**kwargs: Any) -> poster.PostSender:
        asked = kwargs["current_try"]
        return poster.PostSender(**kwargs | {"current_try": SimpleNamespace(id=asked.id, check=_nothing)})

    patch.setattr(executor, "PostSender", unasking)


def _no_question_before_handing_out(patch: Patch) -> None:
    def hand_out(self: executor.PurchaseExecutor, bought: Purchase) -> Purchase:
        self.claims.claim(bought)
        self.journal.save(bought.sharing_link())
        return bought.sharing_link()

    patch.setattr(executor.PurchaseExecutor, "_share_link", hand_out)


def _no_intent(patch: Patch) -> None:
    def unrecorded(self: poster.PostSender, bought: Purchase, there_before: Any) -> Any:
        self.current_try.check()
        return bought.post_started(self.clock.now(), there_before=there_before), lambda: 0.0

    patch.setattr(poster.PostSender, "_record_intent", unrecorded)


def _one_poll(patch: Patch) -> None:
    def expired_for(_self: Any, bought: Purchase | None, checkouts: Any, _now: float) -> timedelta | None:
        listed = purchase.by_id(checkouts)
        expired = bought is not None and purchase.status_of(bought, listed) == CheckoutStatus.EXPIRED
        return _LONG_AGO if expired else None

    patch.setattr(executor.TryClock, "expired_for", expired_for)


def _ended_unwatched(patch: Patch) -> None:
    def watched(self: Purchase) -> tuple[str, ...]:
        return merged((), [one for one in (self.checkout_id, *self.orphans) if one is not None])

    patch.setattr(Purchase, "watched", property(watched))


def _delete(store: Any) -> None:
    if isinstance(store, stores.TwoStores):
        _delete(store._first)
    elif isinstance(store, stores.TaskStateStore):
        store._accessor.delete("videodb_purchase")
    else:
        variables.delete_variable(store._key("videodb_purchase"))


def _no_receipt(patch: Patch) -> None:
    save = journal.Journal.save

    def forgetting(self: Any, bought: Purchase) -> None:
        if not bought.paid:
            save(self, bought)
            return
        self.check_unchanged()
        _delete(self._store)
        self._known = None

    patch.setattr(journal.Journal, "save", forgetting)


def _no_proof_in_the_store(patch: Patch) -> None:
    patch.setattr(stores.TaskStateStore, "get", lambda self, name: self._read(name))


def _write_failures_ignored(patch: Patch) -> None:
    def ignoring(write: Callable[..., None]) -> Callable[..., None]:
        def written(*args: Any) -> None:
            with suppress(stores.VideoDBRecordNotKeptError):
                write(*args)

        return written

    for owner, name in (
        (stores, "write_variable"),
        (claims, "write_variable"),
        (variables, "write_variable"),
        (stores.TaskStateStore, "set"),
    ):
        patch.setattr(owner, name, ignoring(getattr(owner, name)))


def _unknown_ends_the_wait(patch: Patch) -> None:
    def note(_self: Any, status: str) -> None:
        if status != CheckoutStatus.PENDING:
            raise VideoDBResponseError(f"{status} is unknown")

    patch.setattr(payment.PaymentTracker, "_note_unknown", note)


def _unknown_taken_for_expired(patch: Patch) -> None:
    def is_expired(bought: Purchase, listed: Any) -> str | None:
        status = status_of(bought, listed)
        return CheckoutStatus.EXPIRED if status not in (None, *CheckoutStatus) else status

    status_of = purchase.status_of
    patch.setattr(purchase, "status_of", is_expired)
    patch.setattr(executor.TryClock, "expired_for", lambda *_: _LONG_AGO)
    patch.setattr(purchase, "can_have_expired", lambda *_, **__: True)


def _amount_of_yesterday(patch: Patch) -> None:
    obtain = executor.PurchaseExecutor.obtain_checkout

    def obtaining(self: Any, bought: Purchase | None, assess: Callable[[], executor.Need], **kwargs: Any) -> Any:
        need = assess()
        if bought is not None and need.amount:
            need = executor.Need(amount=bought.amount, balance=need.balance)
        return obtain(self, bought, lambda: need, **kwargs)

    patch.setattr(executor.PurchaseExecutor, "obtain_checkout", obtaining)


def _amount_of_the_try(patch: Patch) -> None:
    obtain = executor.PurchaseExecutor.obtain_checkout

    def obtaining(self: Any, bought: Purchase | None, assess: Callable[[], executor.Need], **kwargs: Any) -> Any:
        need = assess()
        return obtain(self, bought, lambda: need, **kwargs)

    patch.setattr(executor.PurchaseExecutor, "obtain_checkout", obtaining)


def _no_claims(patch: Patch) -> None:
    patch.setattr(claims.VariableClaims, "owner", lambda *_: None)
    patch.setattr(claims.VariableClaims, "claim", lambda *_: True)
    patch.setattr(claims.VariableClaims, "claim_from_list", lambda *_: True)


TWICE, LINKS = "has paid [", "can all be paid"


def _clock_without(
    clock: Any, _in_flight: float, made: type[executor.TryClock] = executor.TryClock
) -> executor.TryClock:
    return made(clock, in_flight=0)


ABLATIONS = [
    Ablation("no read before write", _replacing(journal.Journal, "check_unchanged", _nothing), "overwrites"),
    Ablation("no try id in the record", _no_try_id, ""),
    Ablation("no intent recorded before the POST", _no_intent, TWICE),
    Ablation("no ask of Airflow before the POST", _no_question_before_the_post, "buys in a try that is over"),
    Ablation("no ask of Airflow before handing out", _no_question_before_handing_out, "shows a link"),
    Ablation("no stop flag", _replacing(current_try.CurrentTry, "_check_told", _nothing), "after it was told to stop"),
    Ablation("no staleness check before the POST", _replacing(poster, "age_from_now", lambda _: lambda: 0.0), ""),
    Ablation(
        "no staleness check of Airflow's word", _replacing(current_try, "age_from_now", lambda _: lambda: 0.0), ""
    ),
    Ablation("one poll suffices for expired", _one_poll, ""),
    Ablation("no age for expired", _replacing(purchase, "can_have_expired", lambda *_, **__: True), LINKS),
    Ablation("ended ids not watched", _ended_unwatched, ""),
    Ablation("no receipt", _no_receipt, ""),
    Ablation("absence not proven, Variables", _replacing(variables, "_prove_absent", _nothing), ""),
    Ablation("absence not proven, task state store", _no_proof_in_the_store, ""),
    Ablation("write failures ignored", _write_failures_ignored, ""),
    Ablation("a store that is emptied on success", _replacing(stores, "_is_emptied_on_success", lambda: False), ""),
    Ablation(
        "in-flight POST of a killed try not waited for",
        _replacing(executor, "TryClock", _clock_without),
        "",
    ),
    Ablation("unknown state ends the wait", _unknown_ends_the_wait, "stops waiting"),
    Ablation("unknown state taken for expired", _unknown_taken_for_expired, ""),
    Ablation("amount of yesterday", _amount_of_yesterday, ""),
    Ablation("amount of the beginning of the try", _amount_of_the_try, ""),
    Ablation("no list lag", _replacing(purchase, "_recheck", lambda *_: None), ""),
    Ablation(
        "no second check of the month",
        _replacing(purchase, "_before_sharing_link", lambda bought, _: purchase.AwaitPayment(purchase=bought)),
        "over the limit",
    ),
    Ablation("no claims", _no_claims, ""),
]
