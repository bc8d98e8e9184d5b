"""A part on record as a result of the specification: ResultDataType, the event of a result, and its single variables.

The result of a part never changes, and its id is the part's key: who gets one twice sees that it is the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, Protocol

from drivers.opcua.choice import result_components
from station.northbound.opcua.values import PART_CONTENT, VIEW_CONTENT, of_part
from station.northbound.readings import key_of
from station.records.parts import PartRow
from station.results import Verdict

COMPLETED, FAILED = 1, 4
"""ResultStateDataType: a part that was inspected, whatever the verdict; one that could not be."""
NO_NUMBER = datetime(1601, 1, 1, tzinfo=timezone.utc)


class Maker(Protocol):
    """Makes values of the types of OPC UA; the server is one."""

    def structure(self, name: str, **fields: Any) -> Any: ...
    def variant(self, data_type: str, value: Any) -> Any: ...


def identity(make: Maker, kind: str, name: str, checksum: str) -> Any:
    """Of a recipe or a configuration. `checksum`: SHA-256, hexadecimal; empty: there is none."""
    try:
        digest = bytes.fromhex(checksum)
    except ValueError:
        digest = b""
    return make.structure(kind, Id=name, Hash=digest or None, HashAlgorithm="SHA-256" if digest else None)


def recipe_id(make: Maker, name: str, checksum: str) -> Any:
    """The recipe as the station has it."""
    return identity(make, "RecipeIdInternalDataType", name, checksum)


def configuration_id(make: Maker, checksum: str) -> Any:
    """station.toml with this checksum."""
    return identity(make, "ConfigurationIdDataType", "station.toml", checksum)


def components(make: Maker, row: PartRow) -> dict[str, Any]:
    """The fields of ResultDataType, by name; those that a station does not have are missing."""
    created = moment(row.wall_time)
    ended = created + timedelta(milliseconds=row.signalled_ms or 0.0)
    return {
        "ResultId": make.structure("ResultIdDataType", Id=key_of(row)),
        "IsPartial": False,
        "IsSimulated": False,
        "ResultState": FAILED if row.verdict == Verdict.ERROR.name else COMPLETED,
        "PartId": make.structure("PartIdDataType", Id=str(row.part_id)),
        "ExternalRecipeId": identity(make, "RecipeIdExternalDataType", row.recipe, ""),
        "InternalRecipeId": recipe_id(make, row.recipe, row.recipe_checksum),
        "InternalConfigurationId": configuration_id(make, row.config_checksum),
        "JobId": make.structure("JobIdDataType", Id=row.session),
        "CreationTime": created,
        "ProcessingTimes": make.structure(
            "ProcessingTimesDataType", StartTime=created, EndTime=ended, ProcessingDuration=row.engine_ms
        ),
        "ResultContent": [make.variant(PART_CONTENT, _content(make, row))],
    }


def as_structure(make: Maker, row: PartRow) -> Any:
    """ResultDataType."""
    return make.structure("ResultDataType", **components(make, row))


def as_fields(make: Maker, row: PartRow) -> dict[str, tuple[str, Any]]:
    """The fields of the event, with their data types."""
    values = components(make, row)
    return {name: (kind, values[name]) for name, kind in result_components().items() if name in values}


def moment(wall_time: float) -> datetime:
    """Seconds since the epoch as OPC UA takes them: UTC, not before 1601."""
    try:
        return datetime.fromtimestamp(wall_time, timezone.utc)
    except (OverflowError, OSError, ValueError):
        return NO_NUMBER


def _content(make: Maker, row: PartRow) -> Any:
    plain: Mapping[str, Any] = {path.split("/")[1]: value for path, value in of_part(row).items()}
    names = ("Key", "Verdict", "Reason", "ReasonCode", "Score", "RejectScore", "DefectAreaMm2", "Engine",
             "SignalledMs", "IsMasterPart")  # fmt: skip
    views = [
        make.structure(
            VIEW_CONTENT, Camera=view.camera, Verdict=view.verdict, Score=view.score, RejectScore=view.reject_score,
            DefectAreaMm2=view.defect_area_mm2,
        )
        for view in row.views
    ]  # fmt: skip
    return make.structure(PART_CONTENT, **{name: plain[name] for name in names}, Views=views)
