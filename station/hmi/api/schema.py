"""What the API takes and returns, as JSON Schema: the pieces that the table of endpoints is made of."""

from __future__ import annotations

from typing import Any

from station.reports.counts import ALL_BY
from station.results import Verdict

Schema = dict[str, Any]


def of(kind: str, text: str = "", **more: Any) -> Schema:
    """A plain value: `of("integer", minimum=0)`."""
    return {"type": kind, **({"description": text} if text else {}), **more}


def or_null(schema: Schema) -> Schema:
    """The same, or null: not known, or there is none."""
    return {**schema, "type": [schema["type"], "null"]}


def obj(**fields: Schema) -> Schema:
    """An object with all of these keys; later versions may add others."""
    return {"type": "object", "required": list(fields), "properties": fields}


def many(item: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": item}


TEXT, WHOLE, NUMBER, YES = of("string"), of("integer"), of("number"), of("boolean")
TIME = of("string", "RFC 3339, with the distance from UTC")
VERDICT = of("string", enum=[verdict.name for verdict in Verdict])
REASON = obj(code=WHOLE, name=TEXT, text=TEXT)
PART = obj(
    part_id=WHOLE,
    session=TEXT,
    acquisition_id=WHOLE,
    time=TIME,
    shift=TEXT,
    verdict=VERDICT,
    score=or_null(NUMBER | {"description": "0 to 1, 0.5 at the reject limit of the engine"}),
    reject_score=or_null(NUMBER),
    defect_area_mm2=or_null(NUMBER),
    reasons=many(REASON),
    kind=or_null(TEXT),
    recipe=TEXT,
    engine_id=TEXT,
    challenge=or_null(WHOLE),
    late=YES,
    label=or_null(TEXT),
    defect_class=or_null(TEXT),
    images=WHOLE,
)
REGION = obj(centre_px=many(NUMBER), area_px=NUMBER, score=NUMBER)
VIEW = obj(
    camera=TEXT,
    verdict=VERDICT,
    score=or_null(NUMBER),
    reject_score=or_null(NUMBER),
    defect_area_mm2=or_null(NUMBER),
    region_count=or_null(WHOLE),
    regions=many(of("object")),
    reasons=many(REASON),
    has_image=YES,
    has_map=YES,
)
STEP = obj(name=TEXT, at_ms=NUMBER, took_ms=NUMBER, spent_on=TEXT)
LABEL = obj(label=TEXT, **{"class": or_null(TEXT)}, reviewer=TEXT, time=TIME, camera=or_null(TEXT))
WHOLE_PART = obj(part=PART, views=many(VIEW), labels=many(LABEL), steps=many(STEP))
PAGE_OF_PARTS = obj(parts=many(PART), next=or_null(of("string", "`before` of the next page; null: there is none")))
COUNT = {
    "type": "object",
    "required": ["of", "parts", "pass", "fail", "review", "error", "pass_share"],
    "properties": {
        "of": TEXT,
        "parts": WHOLE,
        **{verdict.name.lower(): WHOLE for verdict in Verdict},
        "pass_share": or_null(NUMBER),
    },
}
BY = of("string", enum=list(ALL_BY))
STATUS = obj(
    online=YES,
    ready=YES,
    state=TEXT,
    recipe=TEXT,
    engine_id=TEXT,
    warnings=many(TEXT),
    counters=of("object"),
    in_flight=WHOLE,
)
ENGINE = obj(
    version=TEXT,
    number=WHOLE,
    active=YES,
    engine_id=or_null(TEXT),
    created=or_null(TEXT),
    detector=or_null(TEXT),
    promise=or_null(TEXT),
    finds=many(TEXT),
    images=or_null(WHOLE),
    removed=or_null(WHOLE),
    problem=TEXT,
)
REPORT = obj(name=TEXT, files=many(TEXT), written=TIME)
FIGURE = obj(name=TEXT, value=TEXT, interval=TEXT, of=TEXT, how=TEXT)
WHOLE_REPORT = obj(
    name=TEXT, period=TEXT, since=TIME, until=TIME, recipe=TEXT, made=TIME, made_by=TEXT, figures=many(FIGURE)
)
HEALTH = obj(
    station=of("string", enum=["replies", "silent"]),
    beat_age_s=or_null(NUMBER),
    lines=many(obj(name=TEXT, value=TEXT, state=of("string", enum=["good", "act", "bad", "unknown"]), todo=TEXT)),
)
ASKED_LABEL = {
    "type": "object",
    "required": ["label"],
    "properties": {
        "label": of("string", enum=["good", "defective", "withdraw"]),
        "class": or_null(of("string", "of a defective part", maxLength=64)),
        "comment": of("string", maxLength=1000),
    },
    "additionalProperties": False,
}
PROBLEM = obj(type=TEXT, title=TEXT, status=WHOLE, detail=TEXT)
