"""The report as one file of HTML and as a table of CSV. The file asks for no network; nothing on it runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from station import said
from station.reports.drawing import FAINT, INK, MUTED, SURFACE, page_head
from station.reports.production.charts import defect_map, pareto, trend
from station.reports.production.figures import LISTED, WITHOUT_CLASS, Figure, Report
from station.reports.production.language import ENGLISH, Language
from station.reports.shifts import Calendar
from station.reports.tables import csv_text
from station.terminal import one_line

_STYLE = "".join(
    (
        ":root{color-scheme:light}*{box-sizing:border-box}",
        f"body{{margin:0 auto;max-width:72rem;padding:1rem;font:16px/1.45 system-ui,sans-serif;color:{INK};",
        f"background:{SURFACE};overflow-wrap:anywhere}}",
        "h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:1.4rem 0 .4rem}",
        f".quiet{{color:{MUTED};font-size:.9rem}}",
        ".keys{display:grid;grid-template-columns:repeat(auto-fill,minmax(17rem,1fr));gap:.8rem;margin:1rem 0}",
        f".key{{border:1px solid {FAINT};padding:.6rem .8rem}}.key b{{display:block;font-size:1.3rem}}",
        "table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .5rem;vertical-align:top;",
        f"border-bottom:1px solid {FAINT}}}th{{color:{MUTED};font-size:.85rem}}td.n{{text-align:right}}",
        "td:first-child{white-space:nowrap}svg{max-width:100%;height:auto;display:block}.scroll{overflow-x:auto}",
        "@media(max-width:45rem){.scroll td{min-width:6.5rem;overflow-wrap:break-word}",
        ".scroll td:nth-child(5){min-width:18rem}}",
        "@media print{body{max-width:none;padding:0}.key{break-inside:avoid}}",
    )
)
HEADER = ("figure", "value", "interval", "of", "how it was got")


def page(report: Report, calendar: Calendar, language: Language = ENGLISH) -> str:
    """The whole report."""
    title = escape(title_of(report, language))
    word = {name: escape(text) for name, text in language.headings.items()}
    keys = "".join(_key(one, language) for one in report.figures if one.is_key)
    maps = "".join(
        f"<h3>{escape(one_line(camera))}</h3>{defect_map(centres, language.sentence).svg()}"
        for camera, centres in report.centres.items()
    )
    classes = _table(language.words(("class", "severity", "parts")), classes_of(report, language))
    missing = _table(language.words(("what is missing", "part")), missing_of(report, language))
    more = f"<p>{escape(more_of(report, language))}</p>" if more_of(report, language) else ""
    return f"""{page_head(title, _STYLE, language.tag)}
<body>
<h1>{title}</h1>
<p class="quiet">{escape(language.sentence(span(report, calendar)))}</p>
<div class="keys">{keys}</div>
{"".join(f'<p class="quiet">{escape(one_line(language.figure(note)))}</p>' for note in report.notes)}
<h2>{word["all"]}</h2>
{_table(language.words(HEADER), rows_of(report, language))}
<h2>{word["why"]}</h2>
{pareto(report.pareto, language.sentence).svg() if report.pareto else f"<p>{word['passed']}</p>"}
<h2>{word["called"]}</h2>
{classes if report.classes else f"<p>{word['nobody']}</p>"}
<h2>{word["trend"]}</h2>
{trend(report.trend, calendar, language.sentence).svg()}
<h2>{word["maps"]}</h2>
{maps or f"<p>{word['no_maps']}</p>"}
<h2>{word["missing"]}</h2>
{missing + more if report.incomplete else f"<p>{word['whole']}</p>"}
<h2>{word["made"]}</h2>
{_table(("", ""), facts_of(report, language))}
</body></html>
"""


def csv(report: Report, language: Language = ENGLISH) -> str:
    """The figures as lines for a spreadsheet."""
    return csv_text(language.words(HEADER), rows_of(report, language))


def title_of(report: Report, language: Language) -> str:
    """Station and period, as one line."""
    return one_line(f"{report.station}: {language.sentence(report.period.name)}")


def row_of(one: Figure, language: Language) -> list[str]:
    """A figure as a row of `HEADER`."""
    return [language.word(one.name), *(language.figure(text) for text in (one.value, one.interval, one.of, one.how))]


def rows_of(report: Report, language: Language) -> list[list[str]]:
    """All figures as rows of `HEADER`."""
    return [row_of(one, language) for one in report.figures]


def classes_of(report: Report, language: Language) -> list[list[str]]:
    """Class, severity and number of parts. What people called a class stays as they wrote it."""
    return [
        [language.word(name) if name == WITHOUT_CLASS else one_line(name), language.word(severity), str(count)]
        for name, severity, count in report.classes
    ]


def missing_of(report: Report, language: Language) -> list[list[str]]:
    """What is missing, and of which part; the first `LISTED`."""
    return [[language.word(what), one_line(part)] for what, part in report.incomplete[:LISTED]]


def more_of(report: Report, language: Language) -> str:
    """How much more is missing than is listed; empty: nothing."""
    more = len(report.incomplete) - LISTED
    return language.sentence(said.MORE_REGIONS(count=more)) if more > 0 else ""


def facts_of(report: Report, language: Language) -> list[list[str]]:
    """What the report was made from."""
    return [[language.sentence(one_line(name)), language.sentence(one_line(value))] for name, value in report.facts]


def span(report: Report, calendar: Calendar) -> str:
    """The period as the clock of the station shows it, when the report was made, and by whom."""
    begin, end = (calendar.in_words(moment, "min") for moment in (report.period.since, report.period.until))
    values = {"moment": begin, "other_moment": end}
    if not report.made_at:
        return said.PERIOD(**values)
    values["third_moment"] = calendar.in_words(report.made_at, "min")
    if not report.made_by:
        return said.PERIOD_MADE(**values)
    return said.PERIOD_MADE_BY(**values, name=one_line(report.made_by))


def _key(one: Figure, language: Language) -> str:
    name, value, interval, of, how = (escape(text) for text in row_of(one, language))
    between = f"<div>{interval}</div>" if interval else ""
    return f'<div class="key">{name}<b>{value}</b>{between}<div class="quiet">n: {of}<br>{how}</div></div>'


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    names = "".join(f"<th>{escape(name)}</th>" for name in header)
    lines = "".join("<tr>" + "".join(f"<td>{escape(one_line(value))}</td>" for value in row) + "</tr>" for row in rows)
    head = f"<thead><tr>{names}</tr></thead>" if any(header) else ""
    return f'<div class="scroll"><table>{head}<tbody>{lines}</tbody></table></div>'
