"""The code blocks of Markdown pages, read by the parser that also builds the site."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from markdown_it.token import Token

_COMMENT = re.compile(r"<!--\s*(python\n|not run: )(.*?)\s*-->", re.DOTALL)


@dataclass(frozen=True)
class CodeBlock:
    """
    One code block of a page, with the comments directly above it.

    :param line: where its text begins.
    :param language: empty if the block names none.
    :param beginning: Python code that a reader does not see: imports, and names that the text around it explains.
    :param not_run: why the block is not run.
    """

    page: Path
    line: int
    language: str
    text: str
    beginning: str = ""
    not_run: str = ""

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"

    def module(self) -> str:
        """Return the block with its beginning, as a Python file."""
        return f"{self.beginning}\n{self.text}" if self.beginning else self.text


def code_blocks(page: Path) -> list[CodeBlock]:
    """Return the code blocks of a page."""
    return list(_blocks(page, page.read_text(), first_line=1))


def _blocks(page: Path, text: str, *, first_line: int) -> Iterator[CodeBlock]:
    comments: dict[str, str] = {}
    for token in MarkdownIt().parse(text):
        if token.type == "html_block":
            comments |= {kind.strip(": \n"): said for kind, said in _COMMENT.findall(token.content)}
            continue
        if token.type in ("fence", "code_block") and token.map:
            line = first_line + token.map[0] + (token.type == "fence")
            if token.info.startswith("{"):
                # A directive of the site, such as a note, may contain further blocks.
                yield from _blocks(page, token.content, first_line=line)
            else:
                yield _block(page, token, line, comments)
        comments = {}


def _block(page: Path, token: Token, line: int, comments: dict[str, str]) -> CodeBlock:
    return CodeBlock(
        page,
        line,
        token.info.strip(),
        token.content,
        beginning=comments.get("python", ""),
        not_run=comments.get("not run", ""),
    )
