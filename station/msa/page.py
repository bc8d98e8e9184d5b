"""The study as one file of HTML and as CSV. The file asks for no network; nothing on it runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from station.msa.analysis import Analysis
from station.msa.document import (
    AGREEMENT,
    FIGURES,
    Picture,
    agreement,
    disagreements,
    figures,
    in_language,
    notes,
    subtitle,
    title,
    verdict,
)
from station.reports.drawing import FAINT, INK, MUTED, SURFACE, data_uri, page_head
from station.reports.production.language import ENGLISH, Language
from station.reports.shifts import Calendar
from station.reports.tables import csv_text
from station.terminal import one_line

_STYLE = (
    ":root{color-scheme:light}*{box-sizing:border-box}"
    f"body{{margin:0 auto;max-width:72rem;padding:1rem;font:16px/1.45 system-ui,sans-serif;color:{INK};"
    f"background:{SURFACE};overflow-wrap:anywhere}}"
    "h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:1.4rem 0 .4rem}h3{font-size:1rem;margin:1rem 0 .3rem}"
    f".quiet{{color:{MUTED};font-size:.9rem}}.first{{font-size:1.2rem;font-weight:600}}"
    "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .5rem;vertical-align:top;"
    f"border-bottom:1px solid {FAINT}}}th{{color:{MUTED};font-size:.85rem}}.scroll{{overflow-x:auto}}"
    ".pictures{display:flex;flex-wrap:wrap;gap:.6rem}figure{margin:0;max-width:20rem}img{max-width:100%;height:auto}"
    "section{break-inside:avoid}@media print{body{max-width:none;padding:0}}"
)


def html(found: Analysis, calendar: Calendar, station: str, picture: Picture, language: Language = ENGLISH) -> str:
    """The whole study, with what there is to see of each part they disagree on."""
    name = escape(title(found, language))
    word = {key: escape(text) for key, text in language.headings.items()}
    sections = "".join(_disagreed(row, picture, language) for row in disagreements(found))
    return f"""{page_head(name, _STYLE, language.tag)}
<body>
<h1>{name}</h1>
<p class="quiet">{escape(subtitle(found, calendar, station, language))}</p>
<p class="first">{escape(one_line(language.figure(verdict(found))))}</p>
{"".join(f'<p class="quiet">{escape(note)}</p>' for note in notes(found, language))}
<h2>{word["figures"]}</h2>
{_table(language.words(FIGURES), in_language(figures(found), language))}
<h2>{word["chance"]}</h2>
{_table(language.words(AGREEMENT), in_language(agreement(found), language))}
<h2>{word["apart"]}</h2>
{sections or f"<p>{word['none_apart']}</p>"}
</body></html>
"""


def csv(found: Analysis, language: Language = ENGLISH) -> str:
    """Figures, kappas and every part, in one table for a spreadsheet."""
    rows: list[Sequence[str]] = [("figure", *row) for row in figures(found)]
    rows += [("kappa", row[0], "", *row[1:3], "", row[3], row[4]) for row in agreement(found)]
    apart = [
        (language.word("disagreement"), part, language.figure(known), letters, "", "", "", "")
        for part, known, letters in disagreements(found)
    ]
    return csv_text(language.words(("kind", *FIGURES)), [*in_language(rows, language), *apart])


def _disagreed(row: tuple[str, str, str], picture: Picture, language: Language) -> str:
    part, known, letters = (escape(one_line(text)) for text in (row[0], language.figure(row[1]), row[2]))
    shown = "".join(
        f'<figure><img src="{data_uri(one.image)}" alt="{caption}"><figcaption class="quiet">{caption}</figcaption>'
        "</figure>"
        for one in picture(row[0])
        for caption in [escape(one_line(language.figure(one.caption)))]
    )
    word = language.headings
    pictures = f'<div class="pictures">{shown}</div>' if shown else f'<p class="quiet">{escape(word["no_picture"])}</p>'
    return f"<section><h3>{escape(word['part'])} {part}: {known}</h3><p>{letters}</p>{pictures}</section>"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    names = "".join(f"<th>{escape(name)}</th>" for name in header)
    lines = "".join("<tr>" + "".join(f"<td>{escape(value)}</td>" for value in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{names}</tr></thead><tbody>{lines}</tbody></table></div>'
