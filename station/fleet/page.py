"""The fleet as one page: what needs somebody first, then each station, why parts did not pass, engines, events.

One file that asks for no network and on which nothing runs, in the look of the reports. What stations sent is text. On
a phone a row of the table becomes a card.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from station.codes import REASONS
from station.fleet.drawn import axis_of, over_hours, spark, starts_of
from station.fleet.reading import MOST_EVENTS, Event, Fleet, Hour, StationNow
from station.fleet.words import WORDS
from station.noted import KINDS
from station.reports.drawing import FAINT, INK, MUTED, SURFACE, VERDICT_FILL, VERDICT_TEXT, Drawing, page_head
from station.reports.production.charts import pareto
from station.reports.production.language import ENGLISH, Language
from station.reports.shifts import Calendar
from station.terminal import one_line

SILENT_S = 120.0
"""A station that runs says every 30 s that it is there."""
UNSENT_S, LONG_UNSENT_S = 300.0, 3600.0
CLOCK_S = 60.0
NAMES = 6
"""Of the stations of an engine; the others are counted."""
_PHONE = "48rem"
_STYLE = "".join(
    (
        ":root{color-scheme:light}*{box-sizing:border-box}",
        f"body{{margin:0 auto;max-width:90rem;padding:1rem;font:16px/1.45 system-ui,sans-serif;color:{INK};",
        f"background:{SURFACE};overflow-wrap:anywhere;font-variant-numeric:tabular-nums}}",
        "h1{font-size:1.5rem;margin:0}h2{font-size:1.15rem;margin:1.6rem 0 .4rem}p{margin:0 0 .6rem}",
        f".quiet{{color:{MUTED};font-size:.9rem}}",
        ".state{font-size:1.3rem;font-weight:700;padding:.6rem .8rem;margin:.8rem 0}",
        *(
            f".{name}{{background:{VERDICT_FILL[verdict]};color:{VERDICT_TEXT[verdict]}}}"
            for name, verdict in (("well", "PASS"), ("look", "REVIEW"), ("bad", "FAIL"))
        ),
        ".word{padding:.05rem .5rem;white-space:nowrap}",
        ".keys{display:grid;gap:.8rem;margin:1rem 0;",
        "grid-template-columns:repeat(auto-fit,minmax(min(10rem,100%),1fr))}",
        f".key{{border:1px solid {FAINT};padding:.6rem .8rem}}.key b{{display:block;font-size:1.3rem}}",
        "ul{margin:0;padding-left:1.2rem}table{border-collapse:collapse;width:100%}",
        f"th,td{{text-align:left;padding:.3rem .5rem;vertical-align:top;border-bottom:1px solid {FAINT}}}",
        f"th{{color:{MUTED};font-size:.85rem;overflow-wrap:normal}}td.n{{text-align:right;white-space:nowrap}}",
        "td.w{min-width:6.5rem}td.i{white-space:nowrap}.chart{overflow-x:auto}",
        "svg{max-width:100%;height:auto;display:block}",
        f"@media(max-width:{_PHONE}){{body{{padding:.6rem}}table,tbody,tr,td{{display:block;width:100%}}thead{{display:none}}",
        f"tr{{border:1px solid {FAINT};margin:0 0 .6rem;padding:.3rem .5rem}}",
        "td,td.n{border:0;padding:.1rem 0;text-align:left;white-space:normal}",
        "td.none{display:none}.chart svg{min-width:40rem}",
        "td[data-name]:not(.none){display:grid;grid-template-columns:9rem 1fr;gap:.5rem}",
        f"td[data-name]::before{{content:attr(data-name);color:{MUTED};font-size:.85rem}}td.name{{font-weight:700}}}}",
        "@media print{body{max-width:none;padding:0}.key,tr{break-inside:avoid}}",
    )
)
Finding = tuple[str, str]
"""`look` or `bad`, and a sentence."""


def page(fleet: Fleet, calendar: Calendar, language: Language = ENGLISH) -> str:
    """The whole page."""
    word = {key: language.word(text) for key, text in WORDS.items()}
    found = {one.name: findings_of(one, word) for one in fleet.stations}
    level = _worst(finding for each in found.values() for finding in each)
    title = escape(word["title"] % {"name": one_line(fleet.database)})
    made = word["made"] % {"time": calendar.in_words(fleet.read_at, "min"), "hours": fleet.hours_back}
    state = word[level] if fleet.stations else word["none"]
    return f"""{page_head(title, _STYLE, language.tag)}
<body>
<h1>{title}</h1>
<p class="quiet">{escape(made)}</p>
<div class="state {level if fleet.stations else "look"}">{escape(state)}</div>
{_keys(fleet, word)}
{_todo(found, word)}
<h2>{escape(word["stations"])}</h2>
{_stations(fleet, found, word)}
<h2>{escape(word["trend"])}</h2>
<div class="chart">{over_hours(fleet, calendar, language.word).svg()}</div>
<h2>{escape(word["why"])}</h2>
{_reasons(fleet, word, language)}
<h2>{escape(word["engines"])}</h2>
{_engines(fleet, word, calendar)}
<h2>{escape(word["events"])}</h2>
{_events(fleet.events, word, calendar, language)}
</body></html>
"""


def findings_of(one: StationNow, word: Mapping[str, str]) -> list[Finding]:
    """What needs somebody at this station, the worst first."""
    found: list[Finding] = []
    if one.silent_s is None:
        found.append(("bad", word["never"]))
    elif one.silent_s > SILENT_S:
        found.append(("bad", word["silent"] % {"time": duration(one.silent_s)}))
    if one.waiting and one.unsent_age_s > UNSENT_S:
        level = "bad" if one.unsent_age_s > LONG_UNSENT_S else "look"
        found.append((level, word["waits"] % {"count": one.waiting, "time": duration(one.unsent_age_s)}))
    if one.errors:
        found.append(("look", word["errors"] % {"count": one.errors}))
    if one.left_out:
        found.append(("look", word["left_out"] % {"count": one.left_out}))
    if one.clock_ahead_s is not None and abs(one.clock_ahead_s) > CLOCK_S:
        side = "ahead" if one.clock_ahead_s > 0 else "behind"
        found.append(("look", word[side] % {"time": duration(abs(one.clock_ahead_s))}))
    return sorted(found, key=lambda finding: finding[0] != "bad")


def is_heard(one: StationNow) -> bool:
    """It has said lately that it is there."""
    return one.silent_s is not None and one.silent_s <= SILENT_S


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3 h`, `5 d`."""
    for unit, length, most in (("s", 1.0, 120.0), ("min", 60.0, 7200.0), ("h", 3600.0, 172_800.0)):
        if seconds < most:
            return f"{max(0.0, seconds) / length:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def _worst(findings: Iterable[Finding]) -> str:
    levels = {level for level, _ in findings}
    return "bad" if "bad" in levels else "look" if levels else "well"


def _keys(fleet: Fleet, word: Mapping[str, str]) -> str:
    heard = sum(map(is_heard, fleet.stations))
    parts = sum(one.parts for one in fleet.stations)
    passed = sum(one.parts * (one.passed_share or 0.0) for one in fleet.stations)
    waits = max((one.unsent_age_s for one in fleet.stations if one.waiting), default=None)
    keys = (
        (word["heard"], word["heard_of"] % {"count": heard, "total": len(fleet.stations)}),
        (word["parts"], f"{parts:,}"),
        (word["passed"], _share(passed / parts if parts else None)),
        (word["oldest"], word["nothing"] if waits is None else duration(waits)),
    )
    cells = (f'<div class="key">{escape(name)}<b>{escape(value)}</b></div>' for name, value in keys)
    return f'<div class="keys">{"".join(cells)}</div>'


def _todo(found: Mapping[str, Sequence[Finding]], word: Mapping[str, str]) -> str:
    """The stations with something wrong, those where it is worst first."""
    by_need = sorted((_worst(each) != "bad", name, each) for name, each in found.items() if each)
    lines = (
        f"<li><b>{escape(one_line(name))}</b>: {escape('; '.join(text for _, text in each))}</li>"
        for _, name, each in by_need
    )
    inside = "".join(lines)
    return f"<h2>{escape(word['todo'])}</h2><ul>{inside}</ul>" if inside else ""


def _stations(fleet: Fleet, found: Mapping[str, Sequence[Finding]], word: Mapping[str, str]) -> str:
    hours: dict[str, list[Hour]] = {}
    for hour in fleet.hours:
        hours.setdefault(hour.station, []).append(hour)
    starts, top = starts_of(fleet), axis_of(fleet)
    rows = []
    for one in fleet.stations:
        state = word["is_heard" if is_heard(one) else "is_silent"]
        said = f'<span class="word {_worst(found[one.name])}">{escape(state)}</span>'
        signal = "" if one.mean_ms is None else f"{one.mean_ms:.0f}, {one.max_ms or 0.0:.0f} ms"
        waits = f"{one.waiting:,} ({duration(one.unsent_age_s)})" if one.waiting else ""
        rows.append(
            (
                (one.name, "name"), said, _small(spark(hours.get(one.name, ()), starts, top)), (f"{one.parts:,}", "n"),
                (_share(one.passed_share), "n"), (signal, "n"), (waits, "n"), (one.recipe or "", "w"),
                (_short(one.engine_id or ""), "i"), (one.software, ""),
            )
        )  # fmt: skip
    heads = (
        "station", "state", "over_hours", "hour", "share", "signal", "unsent", "recipe", "engine", "software",
    )  # fmt: skip
    return _table([word[name] for name in heads], rows)


def _reasons(fleet: Fleet, word: Mapping[str, str], language: Language) -> str:
    if not fleet.reasons:
        return f"<p>{escape(word['passed_all'])}</p>"
    texts = {int(number): entry.text for number, entry in REASONS.items()}

    def say(row: str) -> str:
        verdict, _, text = row.partition(": ")
        return f"{language.word(verdict)}: {language.word(text)}"

    rows = [(f"{verdict}: {texts.get(code, one_line(name))}", parts) for verdict, code, name, parts in fleet.reasons]
    return f'<div class="chart">{pareto(rows, say).svg()}</div>'


def _engines(fleet: Fleet, word: Mapping[str, str], calendar: Calendar) -> str:
    if not fleet.engines:
        return f"<p>{escape(word['no_engine'])}</p>"
    rows = []
    for one in fleet.engines:
        names = ", ".join(map(one_line, one.stations[:NAMES])) + (", ..." if len(one.stations) > NAMES else "")
        times = (calendar.clock(moment, "min") for moment in (one.first_part, one.last_part))
        rows.append(
            ((one.recipe, "name"), (_short(one.engine_id), "i"), (f"{len(one.stations)}: {names}", ""),
             *((time, "") for time in times))
        )  # fmt: skip
    return _table([word[name] for name in ("recipe", "engine", "used_by", "first", "last")], rows)


def _events(events: Sequence[Event], word: Mapping[str, str], calendar: Calendar, language: Language) -> str:
    if not events:
        return f"<p>{escape(word['no_events'])}</p>"
    rows = [
        (
            (one.station, "name"), (calendar.clock(one.at, "s"), ""), (language.word(one.level), ""),
            (language.word(KINDS[one.kind]) if one.kind in KINDS else one.kind, ""),
            (language.sentence(one.detail), ""),
        )
        for one in events
    ]  # fmt: skip
    cut = word["newest"] % {"count": MOST_EVENTS} if len(events) == MOST_EVENTS else ""
    head = [word[name] for name in ("station", "time", "level", "kind", "detail")]
    return (f'<p class="quiet">{escape(cut)}</p>' if cut else "") + _table(head, rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str | tuple[str, str]]]) -> str:
    """A cell is a text with its class, or markup of ours."""
    names = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "".join(
        f"<tr>{''.join(_cell(name, value) for name, value in zip(head, row, strict=True))}</tr>" for row in rows
    )
    return f"<table><thead><tr>{names}</tr></thead><tbody>{lines}</tbody></table>"


def _cell(name: str, value: str | tuple[str, str]) -> str:
    if isinstance(value, str):
        return f'<td data-name="{escape(name)}"><div>{value}</div></td>'
    text, kind = value
    if kind == "name":
        return f'<td class="name">{escape(one_line(text))}</td>'
    kind = f"{kind} none" if not text else kind
    return f'<td class="{kind}" data-name="{escape(name)}"><span>{escape(one_line(text))}</span></td>'


def _small(drawing: Drawing) -> str:
    """Without the white space between its elements."""
    return "".join(line.strip() for line in drawing.svg().splitlines())


def _share(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.2f} %"


def _short(engine_id: str) -> str:
    return engine_id[:12]
