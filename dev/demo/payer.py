"""A stand-in for the person who pays: it knows the payment link, opens it, and presses the button."""

from __future__ import annotations

from html.parser import HTMLParser
from urllib.parse import urljoin

import requests

REQUEST_SECONDS = 10


class PaymentPageError(RuntimeError):
    """The checkout page cannot be paid."""


class _Form:
    def __init__(self, attributes: dict[str, str]) -> None:
        self.action = attributes.get("action", "")
        self.method = attributes.get("method", "get")
        self.fields: dict[str, str] = {}
        self.button = ""


class _Forms(HTMLParser):
    """Collects the forms of a page, each with its fields and the text on its button."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[_Form] = []
        self._in_button = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(_Form(attributes))
        elif tag == "input" and self.forms and attributes.get("name"):
            self.forms[-1].fields[attributes["name"]] = attributes.get("value", "")
        elif tag == "button":
            self._in_button = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "button":
            self._in_button = False

    def handle_data(self, data: str) -> None:
        if self._in_button and self.forms:
            self.forms[-1].button += data


def pay(link: str) -> str:
    """Open a payment link, press the button that pays, and return what is written on it."""
    with requests.Session() as browser:
        browser.trust_env = False
        page = browser.get(link, timeout=REQUEST_SECONDS)
        page.raise_for_status()
        form = _pay_form(page.text)
        address = urljoin(page.url, form.action)
        done = browser.request(form.method.upper(), address, data=form.fields, timeout=REQUEST_SECONDS)
        done.raise_for_status()
        return form.button.strip()


def _pay_form(page: str) -> _Form:
    parser = _Forms()
    parser.feed(page)
    for form in parser.forms:
        if form.button.strip().lower().startswith("pay"):
            return form
    raise PaymentPageError("The page behind the payment link has no Pay button.")
