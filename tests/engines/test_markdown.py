"""What others wrote is text in Markdown: as a heading, in a cell and in a sentence it is shown as it stands."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from engines.markdown import as_text, one_line, table

TEXTS = (
    *("a|b", "`code`", "a\nb", "\x1b[2J", "[/x]", "[x](http://y)", "<b>", "&amp;", "*a* _b_ __c__", "metal_nut"),
    *("~~a~~", "# a", "- a", "+ a", "1. a", "2) a", "> a", "---", "===", "\\", "\\|", "![p](q.png)", "\u202e"),
    *("<!-- ", "http://a.b"),
)
PAGE = MarkdownIt("commonmark").enable("table").enable("strikethrough")


def shown(markdown: str) -> str:
    """What a reader of the page sees, without its tags."""
    return html.unescape(re.sub(r"<[^>]*>", "", PAGE.render(markdown))).strip()


@pytest.mark.parametrize("text", TEXTS)
def test_text_is_shown_as_it_stands(text: str) -> None:
    for page in (f"## {as_text(text)}\n", f"{as_text(text)}\n", f"- {as_text(text)}\n", f"word {as_text(text)} word\n"):
        tags = set(re.findall(r"<(/?[a-z0-9]+)", PAGE.render(page)))
        assert tags <= {"h2", "/h2", "p", "/p", "ul", "/ul", "li", "/li"}, page
        assert one_line(text) in shown(page)
    page = table(["name", "n"], ["---", "---:"], [[text, "1"], ["next", "2"]])
    cells = re.findall(r"<td[^>]*>(.*?)</td>", PAGE.render(page))
    assert [html.unescape(cell) for cell in cells] == [one_line(text), "1", "next", "2"]


@given(st.text(max_size=20))
def test_whatever_it_is(text: str) -> None:
    line = as_text(text)
    assert line.isprintable()
    if line:
        assert shown(f"x {line} x") == f"x {one_line(text)} x"


def test_numbers_stay_numbers() -> None:
    assert [
        as_text(each) for each in ("0.9050 ± 0.0071", "-0.0500", "40 %", "1/4.5", "deep_scratch", "bottle-spatial")
    ] == [*("0.9050 ± 0.0071", "-0.0500", "40 %", "1/4.5", "deep_scratch", "bottle-spatial")]
