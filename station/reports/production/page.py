"""The report as one file of HTML and as a table of CSV. The file asks for no network; nothing on it runs."""

from __future__ import annotations

import base64
import hashlib
from html import escape

from station import said
from station.reports.drawing import FAINT, INK, MUTED, SURFACE
from station.reports.production.charts import defect_map, pareto, trend
from station.reports.production.figures import LISTED, Figure, Report
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


def page(report: Report, calendar: Calendar) -> str:
    """The whole report."""
    style = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    title = escape(one_line(f"{report.station}: {report.period.name}"))
    keys = "".join(_key(one) for one in report.figures if one.is_key)
    rows = [(one.name, one.value, one.interval, one.of, one.how) for one in report.figures]
    maps = "".join(
        f"<h3>{escape(one_line(camera))}</h3>{defect_map(centres).svg()}" for camera, centres in report.centres.items()
    )
    classes = _table(("class", "severity", "parts"), report.classes)
    missing = _table(("what is missing", "part"), report.incomplete[:LISTED])
    more = f"<p>and {len(report.incomplete) - LISTED} more</p>" if len(report.incomplete) > LISTED else ""
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'sha256-{style}'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{_STYLE}</style></head>
<body>
<h1>{title}</h1>
<p class="quiet">{escape(span(report, calendar))}</p>
<div class="keys">{keys}</div>
{"".join(f'<p class="quiet">{escape(one_line(note))}</p>' for note in report.notes)}
<h2>All figures</h2>
{_table(HEADER, rows)}
<h2>Why parts did not pass</h2>
{pareto(report.pareto).svg() if report.pareto else "<p>Every part passed.</p>"}
<h2>What people called the defects</h2>
{classes if report.classes else "<p>Nobody has called a part defective.</p>"}
<h2>Rejected and in review over time</h2>
{trend(report.trend, calendar).svg()}
<h2>Where the station saw something</h2>
{maps or "<p>No region is on record for these parts.</p>"}
<h2>What is missing</h2>
{missing + more if report.incomplete else "<p>Nothing: every part has its row, engine, settings and image.</p>"}
<h2>Made from</h2>
{_table(("", ""), report.facts)}
</body></html>
"""


def csv(report: Report) -> str:
    """The figures as lines for a spreadsheet."""
    return csv_text(HEADER, [(one.name, one.value, one.interval, one.of, one.how) for one in report.figures])


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


def _key(figure: Figure) -> str:
    interval = f"<div>{escape(figure.interval)}</div>" if figure.interval else ""
    quiet = f'<div class="quiet">n: {escape(figure.of)}<br>{escape(figure.how)}</div>'
    return f'<div class="key">{escape(figure.name)}<b>{escape(figure.value)}</b>{interval}{quiet}</div>'


def _table(header: tuple[str, ...], rows: object) -> str:
    names = "".join(f"<th>{escape(name)}</th>" for name in header)
    lines = "".join(
        "<tr>" + "".join(f"<td>{escape(one_line(value))}</td>" for value in row) + "</tr>"
        for row in rows  # type: ignore[attr-defined]
    )
    head = f"<thead><tr>{names}</tr></thead>" if any(header) else ""
    return f'<div class="scroll"><table>{head}<tbody>{lines}</tbody></table></div>'
