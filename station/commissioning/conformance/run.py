"""Checks the rules one after the other and reports what came of each."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from fnmatch import fnmatchcase
from typing import Any

from rich.console import Console

from station.commissioning.conformance.links import StationAsServer
from station.commissioning.conformance.plc import Plc, Source
from station.commissioning.conformance.registry import RULES, Need, NotChecked, Rule, Violation
from station.commissioning.plc_client import LinkError, Refused

# isort: off
# The order of these imports is the order of the rules: what must hold always is reported after all others.
from station.commissioning.conformance.rules import modbus, trigger, part_id, result  # noqa: F401
from station.commissioning.conformance.rules import buffer, commands, fail_safe  # noqa: F401
from station.commissioning.conformance.always import Watch
from station.terminal import coloured, joined
# isort: on


class Verdict(Enum):
    """What came of a rule."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_CHECKED = "not checked"
    DOES_NOT_APPLY = "does not apply"


_STYLE = {
    Verdict.PASSED: "green",
    Verdict.FAILED: "bold red",
    Verdict.NOT_CHECKED: "yellow",
    Verdict.DOES_NOT_APPLY: "dim",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule and what came of it."""

    rule: Rule
    verdict: Verdict
    why: str
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        return {
            "rule": self.rule.id,
            "verdict": self.verdict.value,
            "why": self.why,
            "plc": self.rule.plays,
            "text": self.rule.text,
            "seconds": round(self.seconds, 3),
        }


def selected(only: Sequence[str], skip: Sequence[str] = ()) -> list[Rule]:
    """The rules whose ids match a pattern of `only` (`trigger-*`; none: all) and none of `skip`. Raises ValueError."""
    for pattern in (*only, *skip):
        if not _matches(pattern, RULES):
            raise ValueError(f'no rule is called "{pattern}"; --list prints all')
    chosen = {rule_id for pattern in only or ("*",) for rule_id in _matches(pattern, RULES)}
    skipped = {rule_id for pattern in skip for rule_id in _matches(pattern, RULES)}
    return [rule for rule_id, rule in RULES.items() if rule_id in chosen - skipped]


def _matches(pattern: str, rule_ids: Iterable[str]) -> list[str]:
    return [rule_id for rule_id in rule_ids if fnmatchcase(rule_id, pattern)]


def check(plc: Plc, chosen: Iterable[Rule], show: Callable[[Finding], None]) -> list[Finding]:
    """Checks the rules and leaves the station reset and on line. Raises LinkError when the station is not reached.

    What brings the parts is found out first, unless `plc.source` says it.
    """
    plc.observers.append(Watch())
    plc.scan()
    if plc.source is Source.NONE:
        plc.find_source()
    findings = []
    for rule in chosen:
        finding = check_one(plc, rule)
        findings.append(finding)
        show(finding)
    try:
        plc.begin()
        plc.reset()
    except Violation:
        pass  # what keeps it from being reset has been reported
    return findings


def check_one(plc: Plc, rule: Rule) -> Finding:
    """What comes of one rule; `plc.source` says what brings the parts. Raises LinkError."""
    start_s = time.monotonic()

    def finding(verdict: Verdict, why: str = "") -> Finding:
        return Finding(rule, verdict, why, time.monotonic() - start_s)

    for need in rule.needs:
        if why := _does_not_apply(plc, need):
            return finding(Verdict.DOES_NOT_APPLY, why)
        if why := _is_missing(plc, need):
            return finding(Verdict.NOT_CHECKED, why)
    try:
        rule.check(plc)
    except Violation as violation:
        return finding(Verdict.FAILED, str(violation))
    except (LinkError, Refused) as problem:
        plc.link.reconnect()
        plc.scan()  # a station that is gone ends the run
        return finding(Verdict.FAILED, f"the link: {problem}")
    except NotChecked as reason:
        return finding(Verdict.NOT_CHECKED, str(reason))
    return finding(Verdict.PASSED)


def _does_not_apply(plc: Plc, need: Need) -> str:
    link = plc.link
    if need in (Need.SERVER, Need.TCP) and not isinstance(link, StationAsServer):
        return "the station is in client role"
    if need is Need.TCP and isinstance(link, StationAsServer) and link.another is None:
        return "there is one master on a serial line"
    if need is Need.HEARTBEAT and plc.times.heartbeat_timeout_s == 0:
        return "PlcHeartbeat is not supervised (--heartbeat-timeout 0)"
    return ""


def _is_missing(plc: Plc, need: Need) -> str:
    if need in (Need.PART, Need.PLC_TRIGGER) and plc.source is Source.NONE:
        return plc.why_no_source
    if need is Need.PLC_TRIGGER and plc.source is not Source.TRIGGER:
        return f"parts come by {plc.source.value} in this station, not by Trigger"
    return ""


def exit_code(findings: Iterable[Finding], *, require_all: bool) -> int:
    """0: no rule is broken; 1: one is, or with `require_all` one was not checked."""
    bad = (Verdict.FAILED, Verdict.NOT_CHECKED) if require_all else (Verdict.FAILED,)
    return int(any(finding.verdict in bad for finding in findings))


# ---- reports --------------------------------------------------------------------------------------------------------


def print_finding(console: Console, finding: Finding) -> None:
    """A line, and for what did not pass why."""
    style, rule = _STYLE[finding.verdict], finding.rule
    verdict, plays = coloured(f"{finding.verdict.value:<14}", style), coloured(rule.plays, "dim")
    console.print(joined(verdict, f" {rule.id:<30} ", plays), soft_wrap=True)
    if finding.why:
        console.print(joined(" " * 15, coloured(finding.why, style)), soft_wrap=True)
    if finding.verdict is Verdict.FAILED:
        console.print(f"               the rule: {rule.text}", soft_wrap=True)


def summary(findings: Sequence[Finding]) -> str:
    """One line with all counts."""
    counts = {verdict: sum(finding.verdict is verdict for finding in findings) for verdict in Verdict}
    counted = ", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count)
    return f"{len(findings)} rules: {counted}; {sum(finding.seconds for finding in findings):.0f} s"


REPORT_KEYS = ("station", "map_version", "engine_id", "config_checksum", "parts_by", "times", "verdicts", "rules")


def as_json(plc: Plc, findings: Sequence[Finding]) -> str:
    """Everything, for machines."""
    status = plc.status
    report = {
        "station": plc.link.name,
        "map_version": status.map_version,
        "engine_id": f"{status.engine_id:08x}",
        "config_checksum": f"{status.config_checksum:08x}",
        "parts_by": plc.source.value,
        "times": asdict(plc.times),
        "verdicts": {v.value: sum(finding.verdict is v for finding in findings) for v in Verdict},
        "rules": [finding.as_dict() for finding in findings],
    }
    return json.dumps(report, indent=2)


def markdown() -> str:
    """All rules as the table of docs/plc.md."""
    lines = ["| rule | what it says | PLC that is played |", "| --- | --- | --- |"]
    lines += [f"| `{rule.id}` | {rule.text} | {rule.plays} |" for rule in RULES.values()]
    return "\n".join(lines) + "\n"
