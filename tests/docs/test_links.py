"""Each link between files of the repository leads somewhere, also to a heading. Sphinx checks those of the site."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PAGES = sorted(ROOT.glob("*.md"))


def links_of(page: Path) -> set[str]:
    inline = [part for token in tokens_of(page) for part in token.children or []]
    return {
        str(part.attrs.get("href") or part.attrs.get("src")) for part in inline if part.type in ("link_open", "image")
    }


def anchors_of(page: Path) -> Iterator[str]:
    """Return the anchors that GitHub gives to the headings."""
    for opened, heading in pairwise(tokens_of(page)):
        if opened.type == "heading_open":
            text = "".join(part.content for part in heading.children or [])
            yield re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


def tokens_of(page: Path) -> list[Token]:
    return MarkdownIt().enable("table").parse(page.read_text())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_local_links_lead_somewhere(page: Path) -> None:
    for link in links_of(page):
        parts = urlsplit(link)
        if parts.scheme:
            continue
        target = page.parent / unquote(parts.path) if parts.path else page
        assert target.exists(), link
        assert not parts.fragment or parts.fragment in set(anchors_of(target)), link
