"""A look at the station in the words of a person: a line for each thing, how it does, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from station.codes import (
    ERRORS,
    OFFLINE_REASONS,
    WARNINGS,
    CodeText,
    ErrorCode,
    OfflineReason,
    ReasonCode,
    WarningCode,
)
from station.configuration.model import Configuration
from station.forwarding.in_words import is_well, waiting
from station.hmi.health.looking import Look, State, quantile
from station.hmi.words import Words
from station.said import CATALOGUE

BEAT_OLD_S = 1.0
WAITS_OLD_S = 5.0
FEW_PARTS = 20
GB = 1e9
MOST_TRENDS = 5
"""On the page Health; the page Trends has all of them."""
FAR_D = 360.0
"""What is said of a day that is further away: that it is far."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that can be wrong."""

    name: str
    value: str
    state: State
    todo: str = ""
    parts: str = ""
    """The filter of the page Parts that shows what is meant; empty: no parts are."""


_NOT_PASSED = "verdict=FAIL&verdict=REVIEW"
_PARTS_OF = {
    WarningCode.LIGHT_CHANGED: f"reason={ReasonCode.LIGHT_NOT_AS_TAUGHT.value}",
    WarningCode.SHARPNESS_LOST: f"reason={ReasonCode.SHARPNESS_NOT_AS_TAUGHT.value}",
    WarningCode.POSITION_CHANGED: f"reason={ReasonCode.PLACE_NOT_AS_TAUGHT.value}",
    WarningCode.PARTS_NOT_INSPECTED: "verdict=ERROR",
    WarningCode.LATE_RESULT: f"reason={ReasonCode.DEADLINE.value}",
    WarningCode.REJECTS_ABOVE_PROMISE: _NOT_PASSED,
    WarningCode.REJECTS_IN_A_ROW: _NOT_PASSED,
    WarningCode.SAME_PLACE: _NOT_PASSED,
    WarningCode.KIND_RISES: _NOT_PASSED,
    WarningCode.NEW_KIND: _NOT_PASSED,
}


def lines_of(seen: Look, settings: Configuration, words: Words) -> list[Line]:
    """In the order of the way of a part; what is wrong comes first."""
    found = [
        *_station(seen, words),
        *_cameras(seen, words),
        *_plc(seen, settings, words),
        *_engine(seen, words),
        *_shadow(seen, words),
        *_drift(seen, words),
        *_trends(seen, words),
        *_queue(seen, settings, words),
        *_latency(seen, settings, words),
        *_records(seen, words),
        *_disk(seen, settings, words),
        *_plant(seen, settings, words),
        *_starts(seen, words),
    ]
    order = {"bad": 0, "act": 1, "unknown": 2, "good": 3}
    return sorted(found, key=lambda line: order[line.state])


def _station(seen: Look, words: Words) -> Iterator[Line]:
    name = words.gettext("Station")
    status = seen.status
    if status is None:
        todo = words.gettext("look at its service: systemctl status station; start it with station run")
        yield Line(name, f"{words.gettext('it does not answer')}: {seen.problem}", "bad", todo)
        yield Line(words.gettext("Beat of signalling"), words.gettext("not known"), "unknown")
        return
    code = int(status.get("error_code", 0))
    if code:
        text, todo = _said(ERRORS[ErrorCode(code)], words)
        yield Line(name, f"{text}: {str(status.get('error', '')).partition(': ')[2]}", "bad", todo)
    elif not status.get("online"):
        text, todo = _said(OFFLINE_REASONS[OfflineReason(int(status.get("offline_code", 0)))], words)
        yield Line(name, f"{words.gettext('OFF LINE')}: {text}", "act", todo)
    else:
        yield Line(name, words.gettext("ON LINE"), "good")
    for number in status.get("warning_codes", ()):
        text, todo = _said(WARNINGS[WarningCode(number)], words)
        yield Line(words.gettext("Warning"), text, "act", todo, _PARTS_OF.get(WarningCode(number), ""))
    if status.get("refused"):
        yield Line(words.gettext("Last change"), f"{words.gettext('refused')}: {status['refused']}", "act")
    age = seen.beat_age_s
    name = words.gettext("Beat of signalling")
    if age is None:
        yield Line(name, words.gettext("not known"), "unknown")
    else:
        old = words.gettext("it turns no more: systemd starts the station again; see its log")
        yield Line(name, f"{age:.1f} s", "bad" if age > BEAT_OLD_S else "good", old if age > BEAT_OLD_S else "")


def _cameras(seen: Look, words: Words) -> Iterator[Line]:
    for name, camera in sorted((seen.status or {}).get("cameras", {}).items()):
        streams = camera.get("state") == "streaming"
        detail = f": {camera['detail']}" if camera.get("detail") else ""
        todo = "" if streams else words.gettext("check its cable and power; the station comes back by itself")
        title = words.gettext("Camera %(name)s") % {"name": name}
        yield Line(title, f"{words.gettext(camera.get('state', ''))}{detail}", "good" if streams else "bad", todo)


def _plc(seen: Look, settings: Configuration, words: Words) -> Iterator[Line]:
    if settings.plc.role == "off":
        yield Line("PLC", words.gettext("there is none ([plc] role)"), "good")
        return
    if seen.status is None:
        yield Line("PLC", words.gettext("not known"), "unknown")
        return
    frozen = WarningCode.PLC_HEARTBEAT_FROZEN in seen.status.get("warning_codes", ())
    text, todo = _said(WARNINGS[WarningCode.PLC_HEARTBEAT_FROZEN], words)
    yield Line("PLC", text, "bad", todo) if frozen else Line("PLC", words.gettext("its heartbeat comes"), "good")


def _engine(seen: Look, words: Words) -> Iterator[Line]:
    name, status = words.gettext("Engine"), seen.status
    if status is None:
        yield Line(name, words.gettext("not known"), "unknown")
        return
    engine = str(status.get("engine_id", ""))[:12]
    if not engine:
        yield Line(name, words.gettext("none"), "bad", words.gettext("teach one, or activate one of the store"))
    else:
        yield Line(name, f"{engine}; {status.get('runtime', '')}", "good")
    plan: Mapping[str, Any] = status.get("plan") or {}
    if plan.get("phase") == "building":
        yield Line(words.gettext("Plan"), f"{plan.get('step')} {plan.get('done')}/{plan.get('total')}", "act")
    elif plan.get("phase") == "failed":
        yield Line(words.gettext("Plan"), str(plan.get("detail")), "bad")


def _shadow(seen: Look, words: Words) -> Iterator[Line]:
    """Only where there is one."""
    state: Mapping[str, Any] = (seen.status or {}).get("shadow") or {}
    name = words.gettext("Shadow")
    if state.get("state") == "failed":
        todo = words.gettext("the line is not affected; put it back on the page of the engine")
        yield Line(name, str(state.get("problem", "")), "act", todo)
    elif state.get("state") in ("runs", "loads"):
        share = state.get("seen_share")
        seen_share = (
            "" if share is None else words.gettext("; sees %(share)s %% of the parts") % {"share": f"{100 * share:.0f}"}
        )
        yield Line(name, f"{state.get('version')}{seen_share}", "good")
    probation: Mapping[str, Any] | None = state.get("probation")
    if probation:
        done = words.gettext("%(parts)s of %(of)s parts; rejected %(rejected)s, by the engine before %(before)s") % {
            "parts": probation["parts"],
            "of": probation["of"],
            "rejected": probation["rejected"],
            "before": probation["rejected_before"],
        }
        failed = str(probation["finding"]).startswith("failed")
        yield Line(words.gettext("Probation of the engine"), done, "act" if failed else "good")


def _drift(seen: Look, words: Words) -> Iterator[Line]:
    """What has changed stands among the warnings, with what to do; here stands whether anything watches."""
    name = words.gettext("Watching for drift")
    state: Mapping[str, Any] = (seen.status or {}).get("monitoring") or {}
    match state.get("state"):
        case None:
            yield Line(name, words.gettext("not known"), "unknown")
        case "off":
            yield Line(name, words.gettext("off ([monitoring] enabled)"), "act")
        case "learning":
            learned = words.gettext("learns what is normal: %(share)s %%") % {"share": f"{100 * state['learned']:.0f}"}
            yield Line(name, learned, "good")
        case "watching":
            yield Line(name, words.gettext("as it was learned"), "good")
        case _:
            yield Line(
                name,
                "; ".join(CATALOGUE.translated(str(one), words.gettext) for one in state.get("standing", ())),
                "act",
            )


def _trends(seen: Look, words: Words) -> Iterator[Line]:
    """What wears out, the most urgent first; or that nothing does, or that nobody knows."""
    name = words.gettext("Trends")
    state: Mapping[str, Any] = (seen.status or {}).get("trends") or {}
    advice = state.get("advice", ())
    if state.get("problem"):
        yield Line(name, str(state["problem"]), "act", words.gettext("look at the log; try station trends"))
    for one in advice[:MOST_TRENDS]:
        place = f" {one['place']}" if one["place"] else ""
        value = (
            f"{words.gettext(one['cause'])}: {CATALOGUE.translated(one['what'], words.gettext)}; {_when(one, words)}"
        )
        yield Line(f"{name}{place}", value, "act", words.gettext(one["action"]))
    if len(advice) > MOST_TRENDS:
        more = words.gettext("%(count)s more on the page Trends") % {"count": len(advice) - MOST_TRENDS}
        yield Line(name, more, "act")
    match state.get("state"):
        case None | "waiting":
            yield Line(name, words.gettext("not known"), "unknown")
        case "off":
            yield Line(name, words.gettext("not looked for ([monitoring] trends_every_h)"), "act")
        case "known" if not advice:
            yield Line(name, words.gettext("Nothing wears out."), "good")


def _when(one: Mapping[str, Any], words: Words) -> str:
    """As on the page Trends."""
    days, early, late = (one[name] for name in ("days", "earliest", "latest"))
    if days is None or early is None or days < 1:
        return words.gettext("its limit is reached")
    said = words.gettext("reaches its limit in %(days)s days (80 %% between %(early)s and %(late)s)")
    far = "∞" if late is None or late > FAR_D else f"{late:.0f}"
    return said % {"days": f"{days:.0f}", "early": f"{early:.0f}", "late": far}


def _queue(seen: Look, settings: Configuration, words: Words) -> Iterator[Line]:
    if seen.status is not None and "in_flight" in seen.status:
        most = settings.station.max_parts_in_flight
        count = int(seen.status["in_flight"])
        yield Line(words.gettext("Parts in flight"), f"{count} / {most}", "act" if count >= most else "good")


def _latency(seen: Look, settings: Configuration, words: Words) -> Iterator[Line]:
    name, found = words.gettext("Trigger to result"), seen.happened
    if found is None or len(found.latencies_ms) < FEW_PARTS:
        yield Line(name, words.gettext("not known: too few parts"), "unknown")
        return
    deadline = settings.station.deadline_ms
    latencies = list(found.latencies_ms)
    p50, p95, p99 = (quantile(latencies, share) for share in (0.5, 0.95, 0.99))
    said = (f"{value:.3g}" if value < 1000 else f"{value:.0f}" for value in (p50, p95, p99, max(latencies)))
    value = "p50 {}, p95 {}, p99 {}, max {} ms; n {}".format(*said, found.parts)
    is_near = p99 > 0.8 * deadline
    todo = words.gettext("near the deadline: look at GPU, load and [engine] runtime") if is_near else ""
    yield Line(name, f"{value} ({words.gettext('deadline')} {deadline} ms)", "act" if is_near else "good", todo)
    if found.late:
        todo = words.gettext("parts were rejected because their result came too late")
        yield Line(words.gettext("Late"), f"{found.late} / {found.parts}", "act", todo)


def _records(seen: Look, words: Words) -> Iterator[Line]:
    name, status = words.gettext("Records"), seen.status
    if seen.records_problem:
        yield Line(name, seen.records_problem, "bad")
    health: Mapping[str, Any] = (status or {}).get("records") or {}
    if not health:
        yield Line(name, words.gettext("not known"), "unknown")
        return
    waits, oldest = int(health.get("waiting", 0)), float(health.get("oldest_s", 0.0))
    value = words.gettext("%(count)s rows wait, the oldest for %(age)s s")
    value = value % {"count": waits, "age": f"{oldest:.1f}"}
    detail = f": {health['detail']}" if health.get("detail") else ""
    slow = words.gettext("the disk is slow or full: look at it; no verdict is lost")
    state: State = "good" if health.get("ok") and oldest < WAITS_OLD_S else "act"
    yield Line(name, f"{value}{detail}", state, "" if state == "good" else slow)
    if health.get("lost") or health.get("replaced"):
        gone = words.gettext("%(lost)s rows lost, the database replaced %(times)s times")
        text = gone % {"lost": health.get("lost", 0), "times": health.get("replaced", 0)}
        yield Line(name, text, "bad", words.gettext("find out who; the journal has the parts that were open"))


def _disk(seen: Look, settings: Configuration, words: Words) -> Iterator[Line]:
    name = words.gettext("Disk")
    if seen.disk is None:
        yield Line(name, words.gettext("not known"), "unknown")
        return
    free, least = seen.disk.free_bytes, settings.records.min_free_mb * 1_000_000
    state: State = "bad" if free < least else "act" if free < 2 * least else "good"
    value = words.gettext("%(free)s of %(total)s GB free; images may take %(budget)s GB")
    shown = {"free": f"{free / GB:.1f}", "total": f"{seen.disk.total_bytes / GB:.0f}",
             "budget": f"{settings.records.disk_budget_mb / 1000:g}"}  # fmt: skip
    todo = words.gettext("make room: images go first below [records] min_free_mb") if state != "good" else ""
    yield Line(name, value % shown, state, todo)


def _plant(seen: Look, settings: Configuration, words: Words) -> Iterator[Line]:
    """Results that go to the plant: nothing of it is felt by the line."""
    results = words.gettext("Results to the plant")
    if not settings.sends_to_plant:
        return
    if seen.plant_problem:
        yield Line(results, seen.plant_problem, "act")
    elif not seen.plant_runs:
        todo = words.gettext("start the process that sends: systemctl enable --now station-plant")
        yield Line(results, words.gettext("not sent: the process does not run"), "act", todo)
    for one in seen.plant:
        name = f"{results}: {one.name}"
        value = words.gettext("%(sent)s sent, %(waiting)s wait")
        value = value % {"sent": one.sent, "waiting": waiting(one, seen.newest_id)}
        if one.failing_since is not None:
            yield Line(
                name, f"{value}; {one.detail}", "act", words.gettext("the receiver does not take them; they wait")
            )
        else:
            yield Line(name, value, "good")
        if one.parked:
            todo = words.gettext("ask whoever runs the receiver why, then: station plant resend parked")
            shown = words.gettext("%(count)s parts were refused by the receiver") % {"count": one.parked}
            yield Line(name, shown, "act", todo)
        if one.left_out and not is_well(replace(one, parked=0, failing_since=None), seen.at):
            shown = words.gettext("%(count)s parts were never sent: they were deleted first") % {"count": one.left_out}
            yield Line(name, shown, "act", words.gettext("raise [plant] keep_unsent_days or [records] rows_budget_mb"))


def _starts(seen: Look, words: Words) -> Iterator[Line]:
    if seen.happened is not None:
        yield Line(words.gettext("Starts within 7 days"), str(seen.happened.starts), "good")


def _said(text: CodeText, words: Words) -> tuple[str, str]:
    return words.gettext(text.text), words.gettext(text.action) if text.action else ""
