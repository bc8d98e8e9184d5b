"""What a key of the configuration is called, and how a change of it is said: plain words, in the person's language."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from station.configuration.load import NOT_THERE, ChangedValue
from station.hmi.words import Words


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a difference."""

    name: str
    key: str
    """As the file has it."""
    old: str
    new: str


def rows_of(changes: list[ChangedValue], words: Words) -> list[Row]:
    """A difference, a line a value; zones one by one."""
    rows = []
    for change in changes:
        rows += _of_zones(change, words) if change.path[-1] == "zones" else [_of_value(change, words)]
    return rows


def name_of(path: tuple[str, ...], words: Words) -> str:
    """What people call a key."""
    name = names(words).get(path[-1], path[-1])
    where = _where(path, words)
    return f"{name}, {where}" if where else name


def value_of(value: Any, words: Words) -> str:
    """A value for people."""
    if value is None or value is NOT_THERE:
        return words.gettext("not set")
    if isinstance(value, bool):
        return words.gettext("yes") if value else words.gettext("no")
    if isinstance(value, int | float):
        return f"{value:.10g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def names(words: Words) -> Mapping[str, str]:
    """By the last part of a key."""
    gettext = words.gettext
    return {
        "reject_score": gettext("Reject limit"),
        "as_taught": gettext("Pictures must be as the engine was taught"),
        "review_score": gettext("Review limit"),
        "pixel_score": gettext("Limit of a region"),
        "pixel_size_mm": gettext("Size of a pixel, mm"),
        "min_region_mm2": gettext("Smallest region, mm²"),
        "fail_area_mm2": gettext("FAIL above area, mm²"),
        "review_area_mm2": gettext("REVIEW above area, mm²"),
        "fail_total_area_mm2": gettext("FAIL above total area, mm²"),
        "review_total_area_mm2": gettext("REVIEW above total area, mm²"),
        "fail_length_mm": gettext("FAIL above length, mm"),
        "review_length_mm": gettext("REVIEW above length, mm"),
        "fail_count": gettext("FAIL above number of regions"),
        "review_count": gettext("REVIEW above number of regions"),
        "zones": gettext("Zones"),
        "polygon": gettext("Outline"),
        "ignore": gettext("Ignored"),
        "exposure_time_us": gettext("Exposure, µs"),
        "gain_db": gettext("Gain, dB"),
        "min_mean_grey": gettext("Darkest mean grey"),
        "max_mean_grey": gettext("Brightest mean grey"),
        "max_saturated_share": gettext("Largest saturated share"),
        "min_sharpness": gettext("Least sharpness"),
        "action": gettext("Verdict for a bad picture"),
        "weight": gettext("Vote"),
    }


def _where(path: tuple[str, ...], words: Words) -> str:
    if path[0] == "cameras" or path[:2] == ("decision", "views"):
        camera = path[1] if path[0] == "cameras" else path[2]
        return words.gettext("camera %(name)s") % {"name": camera}
    return ""


def _of_value(change: ChangedValue, words: Words) -> Row:
    old, new = (_or_engine(change.path[-1], value, words) for value in (change.old, change.new))
    return Row(name_of(change.path, words), ".".join(change.path), old, new)


def _or_engine(key: str, value: Any, words: Words) -> str:
    of_engine = value is None and key in ("reject_score", "review_score", "pixel_score")
    return words.gettext("the engine's own") if of_engine else value_of(value, words)


def _of_zones(change: ChangedValue, words: Words) -> list[Row]:
    key, where = ".".join(change.path), _where(change.path, words)
    before = {zone["name"]: zone for zone in ([] if change.old is NOT_THERE else change.old or [])}
    after = {zone["name"]: zone for zone in ([] if change.new is NOT_THERE else change.new or [])}
    rows = []
    for name in [*before, *(name for name in after if name not in before)]:
        old, new = before.get(name), after.get(name)
        title = words.gettext("Zone %(name)s") % {"name": name} + (f", {where}" if where else "")
        if old is None or new is None:
            rows.append(Row(title, key, _zone(old, words), _zone(new, words)))
            continue
        for part in [*old, *(part for part in new if part not in old)]:
            if old.get(part) != new.get(part):
                texts = [_part(part, zone.get(part), words) for zone in (old, new)]
                rows.append(Row(f"{title}: {names(words).get(part, part)}", f"{key} {part}", *texts))
    if not rows:
        rows.append(Row(words.gettext("Order of the zones"), key, ", ".join(before), ", ".join(after)))
    return rows


def _part(part: str, value: Any, words: Words) -> str:
    if part != "polygon":
        return value_of(value, words)
    corners = " ".join(f"{x:.3g},{y:.3g}" for x, y in value[:6])
    return corners + (" …" if len(value) > 6 else "")


def _zone(zone: Mapping[str, Any] | None, words: Words) -> str:
    if zone is None:
        return words.gettext("not there")
    corners = words.gettext("%(count)s corners") % {"count": len(zone["polygon"])}
    ignored = [words.gettext("ignored")] if zone.get("ignore") else []
    limits = [
        f"{names(words)[key]} {value:.6g}"
        for key, value in zone.items()
        if key not in ("name", "polygon", "ignore") and value is not None
    ]
    return ", ".join([corners, *ignored, *limits])
