"""A part as an event: CloudEvents 1.0 in its structured JSON form, the same data as the API has.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from station.records.audit import Head
from station.records.parts import PartRow
from station.reports.as_data import part_as_data, views_as_data
from station.reports.shifts import Calendar

SPEC_VERSION = "1.0"
PART, CHALLENGE, TEST = "station.part.inspected", "station.challenge.inspected", "station.webhook.test"
AUDIT_HEAD = "station.audit.head"
"""Types. A master part of a challenge test is no production: it has a type of its own."""
_OF_PEOPLE = ("label", "defect_class")
"""What people say later, which an event of the result cannot have."""


def event_of_part(row: PartRow, number: int, station: str, calendar: Calendar) -> dict[str, Any]:
    """The event of the part in row `number` of the records: the same id whenever and however often it is sent.

    `sequence` grows by one from part to part, so a receiver sees when one is missing.
    """
    part = {name: value for name, value in part_as_data(row, calendar, None).items() if name not in _OF_PEOPLE}
    acknowledged = acknowledged_ms(row)
    return {
        "specversion": SPEC_VERSION,
        "id": f"{_segment(station)}/{_segment(row.session)}/{row.acquisition_id}",
        "source": f"/stations/{_segment(station)}",
        "type": PART if row.challenge is None else CHALLENGE,
        "subject": str(row.part_id),
        "time": calendar.iso(row.wall_time),
        "datacontenttype": "application/json",
        "sequence": str(number),
        "data": {
            "part": part,
            "views": views_as_data(row.views),
            "signalled_ms": row.signalled_ms,
            "acknowledged_ms": acknowledged,
        },
    }


def event_of_head(head: Head, station: str, at: float, calendar: Calendar) -> dict[str, Any]:
    """The head of the audit log: to be kept where nobody who writes the disk of the station can change it."""
    return {
        "specversion": SPEC_VERSION,
        "id": f"{_segment(station)}/audit/{head.row}",
        "source": f"/stations/{_segment(station)}",
        "type": AUDIT_HEAD,
        "subject": str(head.row),
        "time": calendar.iso(at),
        "datacontenttype": "application/json",
        "data": {"chain": head.chain, "row": head.row, "hash": head.hash, "head": str(head)},
    }


def test_event(station: str, at: float, calendar: Calendar) -> dict[str, Any]:
    """An event of no part, with which a person tries the way to the receiver."""
    return {
        "specversion": SPEC_VERSION,
        "id": f"{_segment(station)}/test/{at:.3f}",
        "source": f"/stations/{_segment(station)}",
        "type": TEST,
        "time": calendar.iso(at),
        "datacontenttype": "application/json",
        "data": {},
    }


def acknowledged_ms(row: PartRow) -> float | None:
    """When the PLC has read the result, after the trigger; None: it has not, or there is none."""
    extra = json.loads(row.extra)
    text = extra.get("acknowledged_ms") if isinstance(extra, dict) else None
    return None if text is None else float(text)


def _segment(text: str) -> str:
    """A name as a piece of an address: ASCII, and no slash."""
    return quote(text, safe="")
