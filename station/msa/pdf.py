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
    limits_in_words,
    subtitle,
    title,
    verdict,
)
from station.reports.drawing import jpeg
from station.reports.production.rows import MissingPackage
from station.reports.shifts import Calendar
from station.terminal import one_line

STANDARD: Final = "a-2b"
_LAYOUT = """
#let data = json("data.json")
#set document(title: data.title)
#set page(paper: "a4", margin: 18mm, footer: context align(right, text(8pt, fill: luma(90))[
  #data.title #h(1fr) #counter(page).display("1 / 1", both: true)]))
#set text(size: 9.5pt, lang: "en")
#show heading: set block(above: 1.2em, below: 0.6em)
= #data.title
#text(fill: luma(90), data.subtitle)
#v(4pt)
#text(12pt, weight: "bold", data.verdict)

#for note in data.notes [#text(8pt, fill: luma(90), note) \\ ]
== Figures
#table(columns: (1.2fr, 1.2fr, 0.7fr, 1.1fr, 1.1fr, 1.6fr, 1fr), stroke: none, inset: 3pt, align: left,
  table.header(..data.figures_header.map(name => text(8pt, fill: luma(90), name))), table.hline(stroke: 0.5pt),
  ..data.figures.flatten().map(value => text(8.5pt, value)))
== Agreement beyond chance
#table(columns: (2.2fr, 0.6fr, 1.1fr, 1.6fr, 0.8fr), stroke: none, inset: 3pt, align: left,
  table.header(..data.agreement_header.map(name => text(8pt, fill: luma(90), name))), table.hline(stroke: 0.5pt),
  ..data.agreement.flatten().map(value => text(8.5pt, value)))
== Parts they disagree on
#if data.disagreed.len() == 0 [None: everybody said every time what is known.]
#for one in data.disagreed [#block(breakable: false, width: 100%)[
  #text(weight: "bold")[Part #one.part: #one.known] #h(1fr) #one.said \\
  #if one.pictures.len() == 0 [#text(8pt, fill: luma(90))[No picture is on record.]] else [
  #grid(columns: (1fr, 1fr, 1fr, 1fr), gutter: 6pt, ..one.pictures.map(shown =>
    [#image(shown.at(0), width: 100%) #text(7.5pt, fill: luma(90), shown.at(1))]))]]]
"""
_MOST_PICTURES = 8
"""Of one part: image and map of four views or trials."""


def pdf(found: Analysis, calendar: Calendar, station: str, picture: Picture) -> bytes:
    """The document. Raises MissingPackage: Typst is not installed."""
    try:
        import typst  # noqa: PLC0415  of the extra `reports`
    except ImportError as problem:
        raise MissingPackage("a PDF", problem) from problem
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        disagreed = []
        for number, (part, known, said) in enumerate(disagreements(found)):
            pictures = []
            for index, shown in enumerate(picture(part)[:_MOST_PICTURES]):
                name = f"part{number}_{index}.jpg"
                (place / name).write_bytes(jpeg(shown.image))
                pictures.append((name, one_line(shown.caption)))
            words = {"part": one_line(part), "known": one_line(known), "said": one_line(said)}
            disagreed.append({**words, "pictures": pictures})
        data = {
            "title": one_line(title(found)),
            "subtitle": one_line(subtitle(found, calendar, station)),
            "verdict": one_line(verdict(found)),
            "notes": [limits_in_words(), *(one_line(note) for note in found.notes)],
            "figures_header": FIGURES,
            "figures": [[one_line(value) for value in row] for row in figures(found)],
            "agreement_header": AGREEMENT,
            "agreement": [[one_line(value) for value in row] for row in agreement(found)],
            "disagreed": disagreed,
        }
        (place / "data.json").write_text(json.dumps(data))
        (place / "study.typ").write_text(_LAYOUT)
        return typst.compile(place / "study.typ", root=place, pdf_standards=STANDARD)
