"""What clients ask: results by id and by filter, recipes, the configuration. Reads only; on the threads of calls."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers.opcua.server import Reply
from drivers.opcua.vision_data import signature_of
from station.configuration.file import ConfigurationError
from station.configuration.recipes import names, read
from station.northbound.opcua.results import as_structure, components, configuration_id, identity, moment, recipe_id
from station.records.parts import PartRow, numbered_parts, parts
from station.records.schema import RecordingError, open_reader

MAX_LIST = 500
"""Results or recipes of one reply, whatever is asked for."""
NOT_FOUND, NOT_READABLE = -2, -3
"""Error of a method: there is none with this id; the records cannot be read."""
_NO_HANDLE = 0
METHODS = frozenset(
    {
        "GetResultById", "GetResultComponentsById", "GetResultListFiltered", "GetRecipeListFiltered",
        "GetConfigurationList", "GetConfigurationById",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Places:
    """Where what is asked for lies."""

    records: Path
    recipes: Path
    """Folder."""
    station_toml: Path


class Queries:
    """Replies to the methods that read. `active`: name and checksum of the recipe, checksum of the configuration."""

    def __init__(self, places: Places, make: Any, active: Callable[[], tuple[str, str, str]]) -> None:
        self._places, self._make, self._active = places, make, active

    def call(self, method: str, given: Mapping[str, Any]) -> Reply:
        """Of METHODS."""
        reads: Mapping[str, Callable[[Mapping[str, Any]], Reply]] = {
            "GetResultById": self._by_id,
            "GetResultComponentsById": self._components_by_id,
            "GetResultListFiltered": self._results,
            "GetRecipeListFiltered": self._recipes,
            "GetConfigurationList": self._configurations,
            "GetConfigurationById": self._configuration_by_id,
        }
        try:
            return reads[method](given)
        except (RecordingError, sqlite3.Error, OSError):
            return self._nothing(method, NOT_READABLE)

    # ---- results -------------------------------------------------------------------------------------------------

    def _by_id(self, given: Mapping[str, Any]) -> Reply:
        row = self._part(_id_of(given["ResultId"]))
        if row is None:
            return self._nothing("GetResultById", NOT_FOUND)
        return Reply((_NO_HANDLE, as_structure(self._make, row), 0))

    def _components_by_id(self, given: Mapping[str, Any]) -> Reply:
        row = self._part(_id_of(given["ResultId"]))
        if row is None:
            return self._nothing("GetResultComponentsById", NOT_FOUND)
        values = {**components(self._make, row), "HasTransferableDataOnFile": False, "ResultHandle": 0, "Error": 0}
        _, outputs = signature_of("GetResultComponentsById")
        return Reply(tuple(self._or_empty(one.type, values.get(one.name)) for one in outputs))

    def _results(self, given: Mapping[str, Any]) -> Reply:
        """Newest first."""
        if any(_id_of(given[name]) for name in ("MeasId", "ProductId", "ExternalConfigurationId")):
            return Reply((True, 0, _NO_HANDLE, [], 0))  # a station has none of these
        recipe = {_id_of(given[name]) for name in ("ExternalRecipeId", "InternalRecipeId")} - {""}
        if len(recipe) > 1:
            return Reply((True, 0, _NO_HANDLE, [], 0))
        most = min(int(given["MaxResults"]) or MAX_LIST, MAX_LIST)
        wheres: dict[str, Any] = {}
        if state := int(given["ResultState"]):
            wheres["verdict = 'ERROR'" if state == 4 else ("verdict <> 'ERROR'" if state == 1 else "0")] = None
        if part := _id_of(given["PartId"]):
            wheres["part_id = ?"] = int(part) if part.lstrip("-").isdecimal() and len(part) < 19 else -1
        if recipe:
            wheres["recipe = ?"] = recipe.pop()
        if session := _id_of(given["JobId"]):
            wheres["session = ?"] = session
        if (configuration := given["InternalConfigurationId"]) is not None and configuration.Hash:
            wheres["config_checksum = ?"] = configuration.Hash.hex()
        where = " AND ".join(wheres) or "1"
        values = [value for value in wheres.values() if value is not None]
        chosen = f"SELECT * FROM parts WHERE {where} ORDER BY id DESC LIMIT ? OFFSET ?"
        with closing(open_reader(self._places.records)) as connection:
            found = list(numbered_parts(connection, chosen, [*values, most + 1, int(given["StartIndex"])]))
        rows = [row for _, row in sorted(found, reverse=True, key=lambda one: one[0])]
        listed = [as_structure(self._make, row) for row in rows[:most]]
        return Reply((len(rows) <= most, len(listed), _NO_HANDLE, listed, 0))

    def _part(self, key: str) -> PartRow | None:
        session, _, number = key.rpartition("/")
        if not (session and number.isascii() and number.isdecimal() and len(number) < 19):
            return None
        with closing(open_reader(self._places.records)) as connection:
            return next(iter(parts(connection, session=session, acquisition_id=int(number))), None)

    # ---- recipes and configuration -------------------------------------------------------------------------------

    def _recipes(self, given: Mapping[str, Any]) -> Reply:
        """All, the prepared one, or the others. A recipe that cannot be read is listed without a hash."""
        prepared, checksum, _ = self._active()
        wanted, state = _id_of(given["ExternalId"]), int(given["IsPrepared"])
        listed = sorted({*names(self._places.recipes), *([prepared] if prepared else [])})
        if _id_of(given["ProductId"]):
            listed = []
        listed = [
            name for name in listed
            if (not wanted or name == wanted) and (state == 2 or (name == prepared) == (state == 1))
        ]  # fmt: skip
        start, most = int(given["StartIndex"]), min(int(given["MaxResults"]) or MAX_LIST, MAX_LIST)
        chosen = listed[start : start + most]
        found = [recipe_id(self._make, name, checksum if name == prepared else self._checksum(name)) for name in chosen]
        return Reply((start + most >= len(listed), len(found), _NO_HANDLE, found, 0))

    def _checksum(self, name: str) -> str:
        try:
            return read(self._places.recipes, name).checksum
        except ConfigurationError:
            return ""

    def _configurations(self, given: Mapping[str, Any]) -> Reply:
        """There is one, the active."""
        found = [self._configuration()][int(given["StartIndex"]) :]
        return Reply((True, len(found), _NO_HANDLE, found, 0))

    def _configuration(self) -> Any:
        changed = self._places.station_toml.stat().st_mtime
        internal = configuration_id(self._make, self._active()[2])
        return self._make.structure("ConfigurationDataType", InternalId=internal, LastModified=moment(changed))

    def _configuration_by_id(self, given: Mapping[str, Any]) -> Reply:
        found = self._configuration()
        if _id_of(given["InternalId"]) != found.InternalId.Id:
            return self._nothing("GetConfigurationById", NOT_FOUND)
        return Reply((_NO_HANDLE, found, 0))

    def _nothing(self, method: str, error: int) -> Reply:
        """Empty outputs, and why."""
        _, outputs = signature_of(method)
        values = [error if one.name == "Error" else self._or_empty(one.type, None, one.is_array) for one in outputs]
        return Reply(tuple(values))

    def _or_empty(self, data_type: str, value: Any, is_array: bool = False) -> Any:
        if value is not None:
            return value
        if is_array:
            return []
        if data_type in _EMPTY:
            return _EMPTY[data_type]
        if data_type == "0:294":
            return moment(-1e12)
        name = _NAMES[data_type]
        if name in ("RecipeIdInternalDataType", "ConfigurationIdDataType", "RecipeIdExternalDataType"):
            return identity(self._make, name, "", "")
        return self._make.structure(name)


_EMPTY: Mapping[str, Any] = {"0:1": False, "0:7": 0, "3018": 0, "3009": 0, "0:6": 0, "0:24": []}
_NAMES: Mapping[str, str] = {
    "3021": "ResultIdDataType", "3006": "ResultDataType", "3015": "MeasIdDataType", "3004": "PartIdDataType",
    "3002": "RecipeIdExternalDataType", "3013": "RecipeIdInternalDataType", "3003": "ProductIdDataType",
    "3008": "ConfigurationIdDataType", "3016": "JobIdDataType", "3005": "ProcessingTimesDataType",
    "3007": "ConfigurationDataType",
}  # fmt: skip


def _id_of(value: Any) -> str:
    """Of an identity that a client has given; empty: it has given none."""
    return "" if value is None else str(getattr(value, "Id", "") or "")
