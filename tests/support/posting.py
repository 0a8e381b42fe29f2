"""Sending the POST of a try in a world of stand-ins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_videodb.purchases.journal import Journal
from airflow_provider_videodb.purchases.posting import PostSender
from tests.support.checkouts import asked
from tests.support.worlds import ACCOUNT, POST_TIMEOUT, NotedStore, World

if TYPE_CHECKING:
    from airflow_provider_videodb.purchases.rules.purchase import Purchase

#: A purchase of which nothing was sent yet.
NEW = asked(posts=())


def poster(world: World) -> PostSender:
    journal = Journal(NotedStore(world), world.this_try)
    journal.load()
    world.done.clear()
    return PostSender(
        api=world,
        journal=journal,
        current_try=world.this_try,
        account=ACCOUNT,
        timeout=POST_TIMEOUT,
        clock=world,  # type: ignore[arg-type]  # it has what a clock has
    )


def posted(world: World, purchase: Purchase = NEW, there_before: tuple[str, ...] = ()) -> tuple[Purchase, Any]:
    return poster(world).post(purchase, "https://back.example", there_before=there_before)
