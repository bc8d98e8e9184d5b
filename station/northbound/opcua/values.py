"""What clients read of a station besides the nodes of the specification: plain variables, and the content of a result.

Many clients read no structures, so the last part stands there twice: as ResultDataType, and as plain variables.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drivers.opcua.instance import Plain
from drivers.opcua.vision_data import Field, Structure
from station.northbound import readings
from station.records.parts import PartRow

BOOLEAN, INT32, INT64, DOUBLE, STRING = "0:1", "0:6", "0:8", "0:11", "0:12"
LINE = (
    Plain("Line/Online", BOOLEAN),
    Plain("Line/Ready", BOOLEAN),
    Plain("Line/State", STRING),
    Plain("Line/OfflineReason", STRING),
    Plain("Line/ErrorCode", INT32),
    Plain("Line/WarningCodes", STRING),
    Plain("Line/Recipe", STRING),
    Plain("Line/Engine", STRING),
    Plain("Line/PartsWaiting", INT64),
    *(Plain(f"Count/{name.capitalize()}", INT64) for name in readings.COUNTERS),
)
PART = (
    Plain("Part/Key", STRING),
    Plain("Part/PartId", INT64),
    Plain("Part/Verdict", STRING),
    Plain("Part/Reason", STRING),
    Plain("Part/ReasonCode", INT32),
    Plain("Part/Score", DOUBLE),
    Plain("Part/RejectScore", DOUBLE),
    Plain("Part/DefectAreaMm2", DOUBLE),
    Plain("Part/Recipe", STRING),
    Plain("Part/Engine", STRING),
    Plain("Part/SignalledMs", DOUBLE),
    Plain("Part/IsMasterPart", BOOLEAN),
)
VIEW_CONTENT, PART_CONTENT = "ViewContentDataType", "PartContentDataType"
STRUCTURES = (
    Structure(
        f"own:{VIEW_CONTENT}", VIEW_CONTENT, "0:22", f"own:{VIEW_CONTENT}/Binary", False,
        (
            Field("Camera", STRING), Field("Verdict", STRING), Field("Score", DOUBLE, is_optional=True),
            Field("RejectScore", DOUBLE, is_optional=True), Field("DefectAreaMm2", DOUBLE, is_optional=True),
        ),
    ),
    Structure(
        f"own:{PART_CONTENT}", PART_CONTENT, "0:22", f"own:{PART_CONTENT}/Binary", False,
        (
            Field("Key", STRING), Field("Verdict", STRING), Field("Reason", STRING), Field("ReasonCode", INT32),
            Field("Score", DOUBLE, is_optional=True), Field("RejectScore", DOUBLE, is_optional=True),
            Field("DefectAreaMm2", DOUBLE, is_optional=True), Field("Engine", STRING),
            Field("SignalledMs", DOUBLE, is_optional=True), Field("IsMasterPart", BOOLEAN),
            Field("Views", f"own:{VIEW_CONTENT}", is_array=True),
        ),
    ),
)  # fmt: skip
"""Content of a result, in the namespace of the station."""
_PYTHON: Mapping[str, tuple[type, ...]] = {
    BOOLEAN: (bool,), INT32: (int,), INT64: (int,), DOUBLE: (int, float), STRING: (str,),
}  # fmt: skip


def of_status(status: Mapping[str, Any], waiting: int) -> dict[str, Any]:
    """The line by path; what a daemon of another version says otherwise has no value."""
    values = {**readings.of_status(status), "Line/PartsWaiting": waiting}
    return {one.path: _fitting(one.data_type, values[one.path]) for one in LINE}


def of_part(row: PartRow) -> dict[str, Any]:
    """The part by path."""
    values = readings.of_part(row)
    return {one.path: _fitting(one.data_type, values[one.path]) for one in PART}


def _fitting(data_type: str, value: Any) -> Any:
    fits = isinstance(value, _PYTHON[data_type]) and (data_type == BOOLEAN or not isinstance(value, bool))
    return (float(value) if data_type == DOUBLE else value) if fits else None
