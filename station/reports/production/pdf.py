"""The report as PDF/A, by Typst. Values reach it as data: nothing that a part, a recipe or a person wrote is markup."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Final

from station.reports.production.charts import defect_map, pareto, trend
from station.reports.production.figures import Report
from station.reports.production.language import ENGLISH, Language
from station.reports.production.page import (
    HEADER,
    classes_of,
    facts_of,
    missing_of,
    more_of,
    rows_of,
    span,
    title_of,
)
from station.reports.production.rows import MissingPackage
from station.reports.shifts import Calendar
from station.terminal import one_line

STANDARD: Final = "a-2b"
_LAYOUT = """
#let data = json("data.json")
#set document(title: data.title)
#set page(paper: "a4", margin: 18mm, footer: context align(right, text(8pt, fill: luma(90))[
  #data.title #h(1fr) #counter(page).display("1 / 1", both: true)]))
#set text(size: 9.5pt, lang: data.lang)
#show heading: set block(above: 1.2em, below: 0.6em)
= #data.title
#text(fill: luma(90), data.span)
#v(4pt)
#let card = block.with(stroke: 0.5pt + luma(170), inset: 7pt, width: 100%)
#grid(columns: (1fr, 1fr), gutter: 8pt, ..data.keys.map(one => card[
  #text(fill: luma(90), one.at(0)) \\
  #text(13pt, weight: "bold", one.at(1)) \\
  #if one.at(2) != "" [#one.at(2) #linebreak()]
  #text(8pt, fill: luma(90))[n: #one.at(3) \\ #one.at(4)]]))
#for note in data.notes [#text(8pt, fill: luma(90), note) \\ ]
== #data.word.all
#table(columns: (1.1fr, 1.6fr, 1.6fr, 1.3fr, 1.6fr), stroke: none, inset: 3pt, align: left,
  table.header(..data.header.map(name => text(8pt, fill: luma(90), name))), table.hline(stroke: 0.5pt),
  ..data.figures.flatten().map(value => text(8.5pt, value)))
#if data.has_pareto [== #data.word.why
#image("pareto.svg", width: 100%)]
#if data.classes.len() > 0 [== #data.word.called
#table(columns: 3, stroke: none, inset: 3pt, ..data.classes.flatten())]
== #data.word.trend
#image("trend.svg", width: 100%)
#for one in data.maps [== #data.word.maps: #one.at(0)
#image(one.at(1), width: 70%)]
== #data.word.missing
#if data.missing.len() == 0 [#data.word.whole] else [
#table(columns: 2, stroke: none, inset: 3pt, ..data.missing.flatten())
#data.more]
== #data.word.made
#table(columns: 2, stroke: none, inset: 3pt, ..data.facts.flatten())
"""


def pdf(report: Report, calendar: Calendar, language: Language = ENGLISH) -> bytes:
    """The document. Raises MissingPackage: Typst is not installed."""
    try:
        import typst  # noqa: PLC0415  of the extra `reports`
    except ImportError as problem:
        raise MissingPackage("a PDF", problem) from problem
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        maps = []
        for number, (camera, centres) in enumerate(report.centres.items()):
            (place / f"map{number}.svg").write_text(defect_map(centres, language.sentence).svg())
            maps.append((one_line(camera), f"map{number}.svg"))
        if report.pareto:
            (place / "pareto.svg").write_text(pareto(report.pareto, language.sentence).svg())
        (place / "trend.svg").write_text(trend(report.trend, calendar, language.sentence).svg())
        (place / "data.json").write_text(json.dumps(_data(report, calendar, language, maps)))
        (place / "report.typ").write_text(_LAYOUT)
        return typst.compile(place / "report.typ", root=place, pdf_standards=STANDARD)


def _data(report: Report, calendar: Calendar, language: Language, maps: list[tuple[str, str]]) -> dict[str, object]:
    rows = rows_of(report, language)
    return {
        "lang": language.short,
        "word": language.headings,
        "title": title_of(report, language),
        "span": language.sentence(span(report, calendar)),
        "header": language.words(HEADER),
        "keys": [row for row, one in zip(rows, report.figures, strict=True) if one.is_key],
        "notes": [language.figure(note) for note in report.notes],
        "figures": rows,
        "has_pareto": bool(report.pareto),
        "classes": classes_of(report, language),
        "maps": maps,
        "missing": missing_of(report, language),
        "more": more_of(report, language),
        "facts": facts_of(report, language),
    }
