"""Every assertion of Sparkplug 3.0 by its id (`tck-id-...`): which test shows it, or why it is not a station's.

Ids from the chapters of https://github.com/eclipse-sparkplug/sparkplug, 3.0: 294 that its text marks as testable.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from drivers.mqtt.messages import DataType, Payload, Publication
from drivers.mqtt.payload import decode, encode

NOT_OURS = {
    "of a host application": (
        "conformance-primary-host", "intro-sparkplug-host-state", "host-topic-", "message-flow-phid-",
        "message-flow-hid-", "operational-behavior-host-", "operational-behavior-edge-node-termination-host-action-",
        "operational-behavior-primary-application-state-with-multiple-servers-state", "payloads-state-", "topics-ncmd-",
        "topics-dcmd-", "payloads-ncmd-", "payloads-dcmd-", "payloads-name-cmd-requirement",
        "operational-behavior-data-commands-ncmd-", "operational-behavior-data-commands-dcmd-",
    ),
    "of a broker": ("conformance-mqtt-",),
    "the line has no outputs that a host may write: no DCMD is subscribed": ("message-flow-device-dcmd-subscribe",),
    "a station sends no templates": ("payloads-template-", "topics-nbirth-templates"),
    "a station sends no data sets": ("payloads-dataset-",),
    "a station sends no properties": ("payloads-propertyset-", "payloads-metric-propertyvalue-"),
    "a station speaks MQTT 3.1.1": ("payloads-ndeath-will-message-publisher-disconnect-mqtt50",),
    "of the plant, which gives the names": (
        "intro-edge-node-id-uniqueness", "topic-structure-namespace-unique-edge-node-descriptor",
        "topic-structure-namespace-unique-device-id", "payloads-nbirth-edge-node-descriptor",
        "topic-structure-namespace-duplicate-device-id-across-edge-node",
    ),
}  # fmt: skip
"""By reason: beginnings of ids."""

Told = list[Publication]


def of(told: Told, *kinds: str) -> Told:
    found = [one for one in told if one.topic.split("/")[2] in kinds]
    assert found, f"the session has none of {kinds}"
    return found


def _topic(kind: str, tail: str) -> Callable[[Told], bool]:
    return lambda told: {one.topic for one in of(told, kind)} == {f"spBv1.0/plant/{kind}/{tail}"}


def _qos(kind: str, qos: int) -> Callable[[Told], bool]:
    return lambda told: {one.qos for one in of(told, kind)} == {qos}


def _timed(kind: str) -> Callable[[Told], bool]:
    return lambda told: all(one.payload.time_ms for one in of(told, kind))


def _in_range(kind: str) -> Callable[[Told], bool]:
    return lambda told: all(one.payload.seq in range(256) for one in of(told, kind))


def _follows(kind: str) -> Callable[[Told], bool]:
    """One more than the message before it, of whatever kind, and 0 behind 255."""

    def holds(told: Told) -> bool:
        numbered = [one for one in told if one.payload.seq is not None]
        seqs = [(a.payload.seq, b.payload.seq) for a, b in pairwise(numbered) if b.topic.split("/")[2] == kind]
        return bool(seqs) and all(after == (before + 1) % 256 for before, after in seqs if before is not None)

    return holds


def _whole(kind: str) -> Callable[[Told], bool]:
    """Every metric has name, type and a value, or says that it has none."""
    return lambda told: all(metric.name and metric.type for one in of(told, kind) for metric in one.payload.metrics)


def _kept(payload: Payload) -> bool:
    return decode(encode(payload, dict.fromkeys(range(64), DataType.INT64))).seq == payload.seq


def _encoded(kind: str) -> Callable[[Told], bool]:
    return lambda told: all(_kept(one.payload) for one in of(told, kind))


def _first_zero(told: Told) -> bool:
    return {one.payload.seq for one in of(told, "NBIRTH")} == {0}


def _numbers_match(told: Told) -> bool:
    """The number of a birth is that of the will before it."""
    number = None
    for one in told:
        values = [metric.value for metric in one.payload.metrics if metric.name == "bdSeq"]
        if one.topic.split("/")[2] == "NDEATH":
            number = values[0]
        elif values and values[0] != number:
            return False
    return True


def _rebirth(told: Told) -> bool:
    found = [m for one in of(told, "NBIRTH") for m in one.payload.metrics if m.name == "Node Control/Rebirth"]
    return len(found) == len(of(told, "NBIRTH")) and all(m.value is False and m.type is DataType.BOOLEAN for m in found)


def _death_is_bare(told: Told) -> bool:
    return {(one.payload.seq, len(one.payload.metrics)) for one in of(told, "NDEATH")} == {(None, 1)}


def _births_first(told: Told) -> bool:
    """Between a will and the births behind it there is nothing."""
    is_born = False
    for one in told:
        kind = one.topic.split("/")[2]
        if kind == "NBIRTH":
            is_born = True
        elif kind == "NDEATH":
            is_born = False
        elif not is_born:
            return False
    return True


def _named(told: Told) -> bool:
    return all(m.name is not None or m.alias is not None for one in told for m in one.payload.metrics)


def _utc(told: Told) -> bool:
    """Milliseconds of the bench's clock, which is UTC."""
    return all(
        abs(moment - 1_700_000_000_000) < 10**9
        for one in told
        for moment in (one.payload.time_ms, *(m.time_ms for m in one.payload.metrics))
        if moment is not None
    )


def _topics_by_kind(told: Told) -> bool:
    """A device id in messages of a device, and in no others."""
    tokens = [one.topic.split("/") for one in told]
    return all(
        len(found) == (5 if found[2].startswith("D") else 4) and found[:2] == ["spBv1.0", "plant"] for found in tokens
    )


ON_THE_WIRE: dict[str, Callable[[Told], bool]] = {
    "topic-structure": _topics_by_kind,
    "topic-structure-namespace-a": _topics_by_kind,
    "topic-structure-namespace-device-id-associated-message-types": _topics_by_kind,
    "topic-structure-namespace-device-id-non-associated-message-types": _topics_by_kind,
    "intro-group-id-string": _topics_by_kind,
    "intro-edge-node-id-string": _topics_by_kind,
    "intro-device-id-string": _topics_by_kind,
    "topics-nbirth-topic": _topic("NBIRTH", "ST-04"),
    "topics-ndata-topic": _topic("NDATA", "ST-04"),
    "topics-ndeath-topic": _topic("NDEATH", "ST-04"),
    "topics-dbirth-topic": _topic("DBIRTH", "ST-04/line"),
    "topics-ddata-topic": _topic("DDATA", "ST-04/line"),
    "topics-ddeath-topic": _topic("DDEATH", "ST-04/line"),
    "message-flow-edge-node-birth-publish-nbirth-topic": _topic("NBIRTH", "ST-04"),
    "message-flow-device-birth-publish-dbirth-topic": _topic("DBIRTH", "ST-04/line"),
    "message-flow-device-birth-publish-dbirth-match-edge-node-topic": _topic("DBIRTH", "ST-04/line"),
    **{f"topics-{kind}-mqtt": _qos(kind.upper(), 0) for kind in ("nbirth", "ndata", "dbirth", "ddata", "ddeath")},
    **{f"payloads-{kind}-qos": _qos(kind.upper(), 0) for kind in ("nbirth", "ndata", "dbirth", "ddata")},
    "message-flow-edge-node-birth-publish-nbirth-qos": _qos("NBIRTH", 0),
    "message-flow-device-birth-publish-dbirth-qos": _qos("DBIRTH", 0),
    "message-flow-edge-node-birth-publish-will-message-qos": _qos("NDEATH", 1),
    **{f"topics-{kind}-timestamp": _timed(kind.upper()) for kind in ("nbirth", "ndata", "dbirth", "ddata")},
    **{f"payloads-{kind}-timestamp": _timed(kind.upper()) for kind in ("nbirth", "ndata", "dbirth", "ddata", "ddeath")},
    "topics-nbirth-metrics": _whole("NBIRTH"),
    "topics-dbirth-metrics": _whole("DBIRTH"),
    "payloads-metric-datatype-value-type": _whole("NBIRTH"),
    "payloads-metric-datatype-value": _whole("DBIRTH"),
    "message-flow-edge-node-birth-publish-nbirth-payload": _encoded("NBIRTH"),
    "message-flow-device-birth-publish-dbirth-payload": _encoded("DBIRTH"),
    "message-flow-edge-node-birth-publish-will-message-payload": _encoded("NDEATH"),
    "payloads-sequence-num-req-nbirth": _first_zero,
    "payloads-nbirth-seq": _first_zero,
    "message-flow-edge-node-birth-publish-nbirth-payload-seq": _first_zero,
    **{f"topics-{kind}-seq-num": _follows(kind.upper()) for kind in ("ndata", "ddata", "ddeath")},
    "topics-dbirth-seq": _follows("DBIRTH"),
    "message-flow-device-birth-publish-dbirth-payload-seq": _follows("DBIRTH"),
    **{f"payloads-{kind}-seq": _in_range(kind.upper()) for kind in ("dbirth", "ndata", "ddata", "ddeath")},
    **{f"payloads-{kind}-seq-inc": _follows(kind.upper()) for kind in ("dbirth", "ndata", "ddata", "ddeath")},
    "payloads-ddeath-seq-number": _in_range("DDEATH"),
    "payloads-ndeath-seq": _death_is_bare,
    "payloads-nbirth-bdseq": _numbers_match,
    "payloads-nbirth-bdseq-repeat": _numbers_match,
    "payloads-nbirth-rebirth-req": _rebirth,
    "operational-behavior-data-commands-rebirth-name": _rebirth,
    "payloads-ndata-order": _births_first,
    "payloads-name-requirement": _named,
    "payloads-timestamp-in-UTC": _utc,
    "payloads-metric-timestamp-in-UTC": _utc,
}
"""What holds for every message of a whole session."""
