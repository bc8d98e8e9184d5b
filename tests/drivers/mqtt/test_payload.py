"""Payloads of Sparkplug B: what a station writes another library reads, and the other way round."""

from __future__ import annotations

import contextlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.mqtt.messages import DataType, Metric, Payload, PayloadError
from drivers.mqtt.payload import MAX_BYTES, decode, encode
from tests.bench.npm import npm_packages
from tests.bench.programs import require_program

NOW = 1_700_000_000_123
SCRIPT = Path(__file__).with_name("sparkplug_payload.js")
VALUES: dict[DataType, list[Any]] = {
    DataType.INT32: [0, -1, 2**31 - 1, -(2**31)],
    DataType.INT64: [0, -1, 2**63 - 1, -(2**63), 7],
    DataType.DOUBLE: [0.0, -1.5, 1e300],
    DataType.BOOLEAN: [True, False],
    DataType.STRING: ["", "gut — déjà", "<b>\n\x00"],
}
BIRTH = Payload(
    NOW,
    tuple(
        Metric(f"{kind.name}/{index}", 100 * kind + index, NOW, kind, value)
        for kind, values in VALUES.items()
        for index, value in enumerate([*values, None])
    ),
    seq=0,
)


def with_their_library(folder: Path, *tasks: dict[str, Any]) -> list[Any]:
    """What `sparkplug-payload` of Eclipse Tahu makes of it."""
    modules = npm_packages(folder, "sparkplug-payload@1.0.3")
    node = require_program("node")
    done = subprocess.run(
        [node, str(SCRIPT)], input="\n".join(json.dumps(task) for task in tasks), capture_output=True, text=True,
        timeout=60, env={"NODE_PATH": str(modules), "PATH": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.system
def test_their_library_reads_ours_and_ours_reads_theirs(tmp_path: Path) -> None:
    data = Payload(
        NOW, (Metric(None, 401, NOW, None, -5), Metric(None, 1201, NOW, None, "x", historical=True)), seq=255
    )
    command = {
        "timestamp": NOW,
        "metrics": [
            {"name": "Node Control/Rebirth", "timestamp": NOW, "type": "Boolean", "value": True},
            {"name": "n", "type": "Int64", "value": -12},
        ],
    }
    birth, datum, theirs = with_their_library(
        tmp_path,
        {"decode": encode(BIRTH, {}).hex()},
        {"decode": encode(data, {401: DataType.INT64, 1201: DataType.STRING}).hex()},
        {"encode": command},
    )
    assert birth["seq"] == "0"
    assert birth["timestamp"] == str(NOW)
    for metric, read in zip(BIRTH.metrics, birth["metrics"], strict=True):
        assert (read["name"], read["alias"]) == (metric.name, str(metric.alias))
        assert read["type"].upper() == metric.type.name  # type: ignore[union-attr]
        is_long = metric.type is DataType.INT64 and metric.value is not None
        assert read["value"] == (str(metric.value) if is_long else metric.value)
    assert datum["seq"] == "255"
    assert [metric.get("isHistorical", False) for metric in datum["metrics"]] == [False, True]
    read = decode(bytes.fromhex(theirs))
    assert [(metric.name, metric.value) for metric in read.metrics] == [("Node Control/Rebirth", True), ("n", -12)]


def test_what_is_written_is_read_again() -> None:
    assert decode(encode(BIRTH, {})) == BIRTH


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (DataType.INT32, 2**31),
        (DataType.INT64, -(2**63) - 1),
        (DataType.INT64, 1.5),
        (DataType.INT64, "1"),
    ],
)
def test_a_value_that_its_type_cannot_hold_is_refused(kind: DataType, value: Any) -> None:
    with pytest.raises(ValueError, match=r"fit|whole"):
        encode(Payload(NOW, (Metric("a", 1, NOW, kind, value),)), {})


def test_data_of_an_unknown_alias_is_refused() -> None:
    with pytest.raises(KeyError):
        encode(Payload(NOW, (Metric(None, 1, NOW, None, 1),)), {})


@given(st.binary(max_size=300))
def test_any_bytes_are_a_payload_or_none(data: bytes) -> None:
    with contextlib.suppress(PayloadError):
        decode(data)


def test_too_much_is_refused() -> None:
    with pytest.raises(PayloadError, match="at most"):
        decode(bytes(MAX_BYTES + 1))
    with pytest.raises(PayloadError, match="metrics"):
        decode(encode(Payload(NOW, (Metric(None, 1, None, None, None),) * 600), {}))
