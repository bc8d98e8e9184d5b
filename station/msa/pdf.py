"""The study as PDF/A, by Typst. Values reach it as data: nothing that a part or a person is called is markup."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Final

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
from station.reports.drawing import jpeg
from station.reports.production.language import ENGLISH, Language
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
#text(fill: luma(90), data.subtitle)
#v(4pt)
#text(12pt, weight: "bold", data.verdict)

#for note in data.notes [#text(8pt, fill: luma(90), note) \\ ]
== #data.word.figures
#table(columns: (1.2fr, 1.2fr, 0.7fr, 1.1fr, 1.1fr, 1.6fr, 1fr), stroke: none, inset: 3pt, align: left,
  table.header(..data.figures_header.map(name => text(8pt, fill: luma(90), name))), table.hline(stroke: 0.5pt),
  ..data.figures.flatten().map(value => text(8.5pt, value)))
== #data.word.chance
#table(columns: (2.2fr, 0.6fr, 1.1fr, 1.6fr, 0.8fr), stroke: none, inset: 3pt, align: left,
  table.header(..data.agreement_header.map(name => text(8pt, fill: luma(90), name))), table.hline(stroke: 0.5pt),
  ..data.agreement.flatten().map(value => text(8.5pt, value)))
== #data.word.apart
#if data.disagreed.len() == 0 [#data.word.none_apart]
#for one in data.disagreed [#block(breakable: false, width: 100%)[
  #text(weight: "bold")[#data.word.part #one.part: #one.known] #h(1fr) #one.said \\
  #if one.pictures.len() == 0 [#text(8pt, fill: luma(90))[#data.word.no_picture]] else [
  #grid(columns: (1fr, 1fr, 1fr, 1fr), gutter: 6pt, ..one.pictures.map(shown =>
    [#image(shown.at(0), width: 100%) #text(7.5pt, fill: luma(90), shown.at(1))]))]]]
"""
_MOST_PICTURES = 8
"""Of one part: image and map of four views or trials."""


def pdf(found: Analysis, calendar: Calendar, station: str, picture: Picture, language: Language = ENGLISH) -> bytes:
    """The document. Raises MissingPackage: Typst is not installed."""
    try:
        import typst  # noqa: PLC0415  of the extra `reports`
    except ImportError as problem:
        raise MissingPackage("a PDF", problem) from problem
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        disagreed = []
        for number, (part, known, letters) in enumerate(disagreements(found)):
            pictures = []
            for index, shown in enumerate(picture(part)[:_MOST_PICTURES]):
                name = f"part{number}_{index}.jpg"
                (place / name).write_bytes(jpeg(shown.image))
                pictures.append((name, one_line(language.figure(shown.caption))))
            words = {"part": one_line(part), "known": language.figure(known), "said": one_line(letters)}
            disagreed.append({**words, "pictures": pictures})
        data = {
            "lang": language.short,
            "word": language.headings,
            "title": title(found, language),
            "subtitle": subtitle(found, calendar, station, language),
            "verdict": one_line(language.figure(verdict(found))),
            "notes": notes(found, language),
            "figures_header": language.words(FIGURES),
            "figures": in_language(figures(found), language),
            "agreement_header": language.words(AGREEMENT),
            "agreement": in_language(agreement(found), language),
            "disagreed": disagreed,
        }
        (place / "data.json").write_text(json.dumps(data))
        (place / "study.typ").write_text(_LAYOUT)
        return typst.compile(place / "study.typ", root=place, pdf_standards=STANDARD)
