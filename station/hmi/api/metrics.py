"""What Prometheus reads: text format 0.0.4, written here, since the daemon has no port and a library would bring one.

Counters are those of the station since its start; a station that is silent has none, and `station_up` is 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from station.forwarding.in_words import waiting
from station.hmi.health.looking import look, quantile
from station.hmi.site import Site

PREFIX = "station_"
QUANTILES = (0.5, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Sample:
    """One number with its labels."""

    value: float
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Family:
    """Numbers of one name."""

    name: str
    kind: str
    """`gauge`, `counter` or `summary`."""
    text: str
    samples: tuple[Sample, ...]


def metrics_text(site: Site) -> str:
    """All of them, each family with its help and type."""
    return "".join(line + "\n" for family in families(site) if family.samples for line in _lines(family))


def families(site: Site) -> Iterator[Family]:
    """What there is to count now."""
    seen = look(site)
    status = seen.status or {}
    yield _one("up", "gauge", "1 while the station replies.", float(seen.status is not None))
    yield _one("beat_age_seconds", "gauge", "Since signalling last turned.", seen.beat_age_s)
    if seen.status is not None:
        yield _one("online", "gauge", "1 while the station is on line.", float(bool(status.get("online"))))
        yield _one("ready", "gauge", "1 while a part may be triggered.", float(bool(status.get("ready"))))
        yield _one("error_code", "gauge", "0: no fault; else docs/plc.md.", float(status.get("error_code", 0)))
        counters = status.get("counters", {})
        words = {"passed": "PASS", "failed": "FAIL", "review": "REVIEW", "error": "ERROR"}
        verdicts = tuple(
            Sample(float(counters[key]), {"verdict": word}) for key, word in words.items() if key in counters
        )
        yield Family("parts_total", "counter", "Parts since the station's start, by verdict.", verdicts)
        yield _one("missed_total", "counter", "Triggers while it was not ready.", counters.get("missed"))
        cameras = tuple(
            Sample(float(camera.get("state") == "streaming"), {"camera": name})
            for name, camera in sorted(status.get("cameras", {}).items())
        )
        yield Family("camera_streaming", "gauge", "1 while a camera delivers.", cameras)
        warnings = tuple(Sample(1.0, {"code": str(code)}) for code in status.get("warning_codes", ()))
        yield Family("warning", "gauge", "1 for each warning that stands.", warnings)
        yield _one("parts_in_flight", "gauge", "Between trigger and result.", status.get("in_flight"))
        records = status.get("records", {})
        yield _one("records_waiting", "gauge", "Rows that are not on disk yet.", records.get("waiting"))
        yield _one("records_oldest_seconds", "gauge", "How long the oldest of them waits.", records.get("oldest_s"))
        yield _one("records_lost_total", "counter", "Rows that were given up.", records.get("lost"))
        info = {"engine": str(status.get("engine_id", ""))[:12], "recipe": str(status.get("recipe", ""))}
        yield Family("info", "gauge", "Which engine and recipe are active.", (Sample(1.0, info),))
    if seen.plant:
        waits = tuple(Sample(float(waiting(one, seen.newest_id)), {"connector": one.name}) for one in seen.plant)
        yield Family("unsent_parts", "gauge", "Parts on record that the plant was not sent yet.", waits)
        fails = tuple(Sample(float(one.failing_since is not None), {"connector": one.name}) for one in seen.plant)
        yield Family("sending_fails", "gauge", "1 while the receiver takes nothing.", fails)
        refused = tuple(Sample(float(one.parked), {"connector": one.name}) for one in seen.plant)
        yield Family("refused_parts", "gauge", "Parts that the receiver refused for good.", refused)
    if seen.disk is not None:
        yield _one("disk_free_bytes", "gauge", "Of the work folder.", float(seen.disk.free_bytes))
        yield _one("disk_total_bytes", "gauge", "Of the work folder.", float(seen.disk.total_bytes))
    if seen.happened is not None and seen.happened.latencies_ms:
        latencies = list(seen.happened.latencies_ms)
        samples = tuple(Sample(quantile(latencies, share) / 1000, {"quantile": f"{share:g}"}) for share in QUANTILES)
        yield Family("latency_seconds", "gauge", "Trigger to result, of the newest 500 parts.", samples)


def _one(name: str, kind: str, text: str, value: object) -> Family:
    """A family of one number; none where the number is not known."""
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return Family(name, kind, text, (Sample(float(value), {}),) if known else ())  # type: ignore[arg-type]


def _lines(family: Family) -> Iterator[str]:
    name = PREFIX + family.name
    yield f"# HELP {name} {_escaped(family.text)}"
    yield f"# TYPE {name} {family.kind}"
    for sample in family.samples:
        labels = ",".join(f'{key}="{_escaped(value, quoted=True)}"' for key, value in sample.labels.items())
        yield f"{name}{'{' + labels + '}' if labels else ''} {sample.value!r}"


def _escaped(text: str, *, quoted: bool = False) -> str:
    """As the format writes it: a line end or a quote of a recipe's name cannot begin a line of its own."""
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quoted else text
