"""The data types of OPC 40100-1, Part 1, 12, and what its methods take and return. Facts alone, see `facts`.

ID NAME BASE ID_OF_BINARY_ENCODING [abstract]      a structure; its fields follow, `?` behind optional ones
  NAME TYPE[[]][?]
"""

from __future__ import annotations

from dataclasses import dataclass

SIMPLE = (("3009", "ResultStateDataType", "0:6"), ("3017", "TrimmedString", "0:12"), ("3018", "Handle", "0:7"))
"""Subtypes of Int32, String and UInt32: id, name, base."""
TRI_STATE = ("3014", "TriStateBooleanDataType", "6367", ("FALSE", "TRUE", "DONTCARE"))
"""An enumeration: id, name, id of its values, names of 0, 1, 2."""

_STRUCTURES = """
3019 BinaryIdBaseDataType 0:22 5027 abstract
  Id 3017
  Version 3017?
  Hash 0:15?
  HashAlgorithm 0:12?
  Description 0:21?
3008 ConfigurationIdDataType 3019 5090
3002 RecipeIdExternalDataType 3019 5002
3013 RecipeIdInternalDataType 3019 5268
3007 ConfigurationDataType 0:22 5088
  HasTransferableDataOnFile 0:1?
  ExternalId 3008?
  InternalId 3008
  LastModified 0:294
3016 JobIdDataType 0:22 5008
  Id 3017
3015 MeasIdDataType 0:22 5006
  Id 3017
  Description 0:21?
3004 PartIdDataType 0:22 5013
  Id 3017
  Description 0:21?
3005 ProcessingTimesDataType 0:22 5016
  StartTime 0:294
  EndTime 0:294
  AcquisitionDuration 0:290?
  ProcessingDuration 0:290?
3003 ProductIdDataType 0:22 5224
  Id 3017
  Description 0:21?
3021 ResultIdDataType 0:22 5274
  Id 3017
3006 ResultDataType 0:22 5018
  ResultId 3021
  HasTransferableDataOnFile 0:1?
  IsPartial 0:1
  IsSimulated 0:1?
  ResultState 3009
  MeasId 3015?
  PartId 3004?
  ExternalRecipeId 3002?
  InternalRecipeId 3013
  ProductId 3003?
  ExternalConfigurationId 3008?
  InternalConfigurationId 3008
  JobId 3016
  CreationTime 0:294
  ProcessingTimes 3005?
  ResultContent 0:24[]?
"""

_CAUSE = "Cause 0:6, CauseDescription 0:12"
_START = "MeasId 3015, PartId 3004, RecipeId 3002, ProductId 3003, Parameters 0:24[]"
_LIST = "MaxResults 0:7, StartIndex 0:7, Timeout 0:6"
_COMPONENTS = (
    "HasTransferableDataOnFile 0:1, ResultHandle 3018, IsPartial 0:1, IsSimulated 0:1, ResultState 3009, MeasId 3015, "
    "PartId 3004, ExternalRecipeId 3002, InternalRecipeId 3013, ProductId 3003, ExternalConfigurationId 3008, "
    "InternalConfigurationId 3008, JobId 3016, CreationTime 0:294, ProcessingTimes 3005, ResultContent 0:24[], "
    "Error 0:6"
)
_FILTER = (
    "ResultState 3009, MeasId 3015, PartId 3004, ExternalRecipeId 3002, InternalRecipeId 3013, "
    "ExternalConfigurationId 3008, InternalConfigurationId 3008, ProductId 3003, JobId 3016, "
)
_ERROR = "Error 0:6"
_RECIPE_IN = "ExternalId 3002, InternalIdIn 3013"
_SIGNATURES = {
    "Halt": (_CAUSE, _ERROR),
    "Reset": (_CAUSE, _ERROR),
    "SelectModeAutomatic": ("", _ERROR),
    "ConfirmAll": ("Comment 0:21", ""),
    "Abort": (_CAUSE, _ERROR),
    "Stop": (_CAUSE, _ERROR),
    "StartSingleJob": (_START, f"JobId 3016, {_ERROR}"),
    "StartContinuous": (_START, f"JobId 3016, {_ERROR}"),
    "SimulationMode": (f"Activate 0:1, {_CAUSE}", _ERROR),
    "GetRecipeListFiltered": (
        f"ExternalId 3002, ProductId 3003, IsPrepared 3014, {_LIST}",
        f"IsComplete 0:1, ResultCount 0:7, RecipeHandle 3018, RecipeList 3013[], {_ERROR}",
    ),
    "PrepareRecipe": (_RECIPE_IN, f"InternalIdOut 3013, IsCompleted 0:1, {_ERROR}"),
    "UnprepareRecipe": (_RECIPE_IN, f"InternalIdOut 3013, {_ERROR}"),
    "AddRecipe": (
        "ExternalId 3002, ProductId 3003",
        f"InternalId 3013, Recipe 0:17, Product 0:17, TransferRequired 0:1, {_ERROR}",
    ),
    "RemoveRecipe": ("ExternalId 3002", _ERROR),
    "ReleaseRecipeHandle": ("RecipeHandle 3018", _ERROR),
    "UnlinkProduct": ("InternalId 3013, ProductId 3003", _ERROR),
    "LinkProduct": ("ProductId 3003", _ERROR),
    "PrepareProduct": ("ProductId 3003", f"InternalId 3013, {_ERROR}"),
    "UnprepareProduct": ("ProductId 3003", f"InternalId 3013, {_ERROR}"),
    "Prepare": ("", f"IsCompleted 0:1, {_ERROR}"),
    "Unprepare": ("", _ERROR),
    "GetResultById": ("ResultId 3021, Timeout 0:6", f"ResultHandle 3018, Result 3006, {_ERROR}"),
    "GetResultComponentsById": ("ResultId 3021, Timeout 0:6", _COMPONENTS),
    "GetResultListFiltered": (
        _FILTER + _LIST, f"IsComplete 0:1, ResultCount 0:7, ResultHandle 3018, ResultList 3006[], {_ERROR}",
    ),
    "ReleaseResultHandle": ("ResultHandle 3018", _ERROR),
    "GetConfigurationList": (
        _LIST, f"IsComplete 0:1, ResultCount 0:7, ConfigurationHandle 3018, ConfigurationList 3007[], {_ERROR}",
    ),
    "GetConfigurationById": (
        "InternalId 3008, Timeout 0:6", f"ConfigurationHandle 3018, Configuration 3007, {_ERROR}"
    ),
    "ActivateConfiguration": ("InternalId 3008", _ERROR),
    "AddConfiguration": (
        "ExternalId 3008", f"InternalId 3008, Configuration 0:17, TransferRequired 0:1, {_ERROR}"
    ),
    "RemoveConfiguration": ("InternalId 3008", _ERROR),
    "ReleaseConfigurationHandle": ("ConfigurationHandle 3018", _ERROR),
}  # fmt: skip
"""By the name of the method: what goes in, what comes out."""
OF_RECIPE_TYPE = {"7063": ("ProductId 3003", _ERROR)}
"""By the id, where two types have a method of one name: UnlinkProduct of RecipeType."""


@dataclass(frozen=True, slots=True)
class Field:
    """Of a structure, or an argument of a method."""

    name: str
    type: str
    is_array: bool = False
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class Structure:
    """`fields`: with those of its base, which come first."""

    id: str
    name: str
    base: str
    encoding_id: str
    is_abstract: bool
    fields: tuple[Field, ...]

    @property
    def has_optional_fields(self) -> bool:
        return any(one.is_optional for one in self.fields)


def signature_of(method: str, method_id: str = "") -> tuple[tuple[Field, ...], tuple[Field, ...]]:
    """What goes in, what comes out. Raises KeyError."""
    inputs, outputs = OF_RECIPE_TYPE.get(method_id) or _SIGNATURES[method]
    return _fields(inputs.split(", ")), _fields(outputs.split(", "))


def _fields(texts: list[str]) -> tuple[Field, ...]:
    found = []
    for text in filter(None, map(str.strip, texts)):
        name, kind = text.split()
        optional, kind = kind.endswith("?"), kind.removesuffix("?")
        found.append(Field(name, kind.removesuffix("[]"), kind.endswith("[]"), optional))
    return tuple(found)


def _structures() -> dict[str, Structure]:
    found: dict[str, Structure] = {}
    lines = [line for line in _STRUCTURES.splitlines() if line.strip()]
    for place, line in enumerate(lines):
        if line.startswith(" "):
            continue
        number, name, base, encoding, *abstract = line.split()
        own = []
        for after in lines[place + 1 :]:
            if not after.startswith(" "):
                break
            own.append(after)
        inherited = found[base].fields if base in found else ()
        found[number] = Structure(number, name, base, encoding, bool(abstract), (*inherited, *_fields(own)))
    return found


STRUCTURES = _structures()
"""By id; a base comes before what is derived from it."""
