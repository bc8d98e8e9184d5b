"""Parts and counts as data for programs: what the commands print with --json, and what the API returns."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from station.labels.labels import Label
from station.records.audit import AuditRow
from station.records.challenge_runs import Run
from station.records.parts import PartRow, ViewRow
from station.reports.counts import Counts
from station.reports.shifts import Calendar
from station.reports.trace import Trace
from station.results import Reason


def part_as_data(row: PartRow, calendar: Calendar, label: Label | None) -> dict[str, Any]:
    """A part for scripts, with what a person said of it as a whole."""
    return {
        "part_id": row.part_id,
        "session": row.session,
        "acquisition_id": row.acquisition_id,
        "time": calendar.iso(row.wall_time),
        "shift": str(calendar.shift_at(row.wall_time)),
        "verdict": row.verdict,
        "score": row.score,
        "reject_score": row.reject_score,
        "defect_area_mm2": row.defect_area_mm2,
        "reasons": reasons_as_data(row.reason_list),
        "kind": row.kind or None,
        "recipe": row.recipe,
        "engine_id": row.engine_id,
        "batch": row.batch,
        "challenge": row.challenge,
        "late": row.late,
        "label": None if label is None else label.label,
        "defect_class": None if label is None else label.defect_class,
        "images": sum(view.image_path is not None for view in row.views),
    }


def views_as_data(views: Iterable[ViewRow]) -> list[dict[str, Any]]:
    """What each camera saw of a part."""
    return [
        {
            "camera": view.camera,
            "verdict": view.verdict,
            "score": view.score,
            "reject_score": view.reject_score,
            "defect_area_mm2": view.defect_area_mm2,
            "region_count": view.region_count,
            "regions": json.loads(view.regions),
            "reasons": reasons_as_data(view.reason_list),
            "has_image": view.image_path is not None and not view.image_deleted,
            "has_map": view.map_path is not None and not view.image_deleted,
            "map_low": view.map_low,
            "map_high": view.map_high,
        }
        for view in views
    ]


def reasons_as_data(reasons: Iterable[Reason]) -> list[dict[str, Any]]:
    """Code, name and text of each."""
    return [{"code": int(reason.code), "name": reason.code.name, "text": str(reason)} for reason in reasons]


def count_as_data(group: Counts, by: str) -> dict[str, Any]:
    """A group of counted parts for programs; `by` names what it is a group of."""
    numbers = {verdict.name.lower(): number for verdict, number in group.verdicts.items()}
    return {by: group.of, "parts": group.parts, **numbers, "pass_share": group.pass_share}


def trace_as_data(trace: Trace) -> dict[str, Any]:
    """The steps of a part, and the events of the station that concern it."""
    return {
        "steps": [
            {"name": step.name, "at_ms": step.at_ms, "took_ms": step.took_ms, "spent_on": step.spent_on}
            for step in trace.steps
        ],
        "events": [asdict(event) for event in trace.events],
    }


def audit_as_data(row: AuditRow, calendar: Calendar) -> dict[str, Any]:
    """A change, or one that was refused."""
    return {"time": calendar.iso(row.wall_time)} | asdict(row)


def run_as_data(run: Run, recipe: str, calendar: Calendar) -> dict[str, Any]:
    """A challenge test, with what the station said of each master part."""
    return {
        "test": run.number,
        "recipe": recipe,
        "study": run.study,
        "started_by": run.started_by,
        "start": calendar.iso(run.start_s),
        "end": None if run.end_s is None else calendar.iso(run.end_s),
        "verdict": run.verdict.value,
        "detail": run.detail,
        "escape": run.escape,
        "steps": [
            {
                "part": step.part,
                "acquisition_id": step.acquisition_id,
                "verdict": step.verdict.name,
                "reason": step.reason.name,
                "outcome": step.outcome.value,
            }
            for step in run.steps
        ],
        "reset_by": run.reset_by,
        "reset": None if run.reset_s is None else calendar.iso(run.reset_s),
        "reset_why": run.reset_why,
    }
