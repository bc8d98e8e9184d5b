"""What the API takes and returns, as JSON Schema: the pieces that the table of endpoints is made of."""

from __future__ import annotations

from typing import Any, get_args

from station.labels.dispositions import Treatment
from station.records.challenge_runs import RunVerdict
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
    batch=or_null(WHOLE | {"description": "number of its batch"}),
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
    map_low=or_null(NUMBER | {"description": "what grey 0 of the map stands for, in units of the engine"}),
    map_high=or_null(NUMBER),
)
STEP = obj(name=TEXT, at_ms=NUMBER, took_ms=NUMBER, spent_on=TEXT)
LABEL = obj(label=TEXT, **{"class": or_null(TEXT)}, reviewer=TEXT, time=TIME, camera=or_null(TEXT))
WHOLE_PART = obj(part=PART, views=many(VIEW), labels=many(LABEL), steps=many(STEP))
AFTER = of("integer", "`after` of the next page")
PAGE_OF_PARTS = obj(
    parts=many(PART),
    next=or_null(of("string", "`before` of the next page; null: there is none")),
    after=or_null(AFTER),
)
TRACE = obj(
    steps=many(STEP),
    events=many(obj(at_ms=NUMBER, kind=TEXT, level=TEXT, detail=TEXT, names_part=YES)),
)
EVENTS = obj(events=many(obj(id=WHOLE, session=TEXT, time=TIME, kind=TEXT, level=TEXT, detail=TEXT)), after=AFTER)
CHANGES = obj(
    changes=many(obj(id=WHOLE, time=TIME, who=TEXT, action=TEXT, before=TEXT, after=TEXT, result=TEXT, detail=TEXT)),
    after=AFTER,
)
MASTER_STEP = obj(part=TEXT, acquisition_id=WHOLE, verdict=VERDICT, reason=TEXT, outcome=TEXT)
CHALLENGES = obj(
    challenges=many(
        obj(
            test=WHOLE,
            recipe=TEXT,
            started_by=TEXT,
            start=TIME,
            end=or_null(TIME),
            verdict=of("string", enum=[verdict.value for verdict in RunVerdict]),
            detail=TEXT,
            escape=YES,
            steps=many(MASTER_STEP),
            reset_by=TEXT,
            reset=or_null(TIME),
            reset_why=TEXT,
        )
    ),
    after=AFTER,
)
DISPOSITIONS = obj(
    dispositions=many(
        obj(
            id=WHOLE,
            session=TEXT,
            acquisition_id=WHOLE,
            part_id=WHOLE,
            due=TIME,
            treatment=of("string", enum=list(get_args(Treatment))),
            verdict={"enum": ["PASS", "FAIL", None], "description": "what happens to the part; null: it still waits"},
        )
    ),
    after=AFTER,
)
SHIFTS = obj(shifts=many(obj(name=TEXT, day=of("string", "on which it begins"), start=TIME, end=TIME)))
CAMERAS = obj(cameras=many(obj(name=TEXT, driver=TEXT, state=or_null(TEXT), detail=TEXT)))
RECIPES = obj(
    recipes=many(
        obj(name=TEXT, active=YES, number=or_null(WHOLE), description=TEXT, checksum=or_null(TEXT), problem=TEXT)
    )
)
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
BATCH = obj(
    number=WHOLE,
    name=TEXT,
    product=TEXT,
    order=TEXT,
    recipe=of("string", "that was active when it began"),
    start=TIME,
    end=or_null(TIME),
    begun_by=of("string", "`plc`, or `operator` and a name"),
    ended_by=TEXT,
)
METRIC = obj(
    name=TEXT,
    unit=of("string", enum=["share", "s", "1/h"]),
    known=YES,
    value=or_null(NUMBER | {"description": "null: not known, see `why`"}),
    low=or_null(NUMBER | {"description": "null beside a value: one-sided, or counted"}),
    high=or_null(NUMBER),
    n=of("integer", "what the value stands on"),
    of=of("integer", "what it speaks of"),
    estimator=TEXT,
    why=TEXT,
    more=of("object", "further numbers by name", additionalProperties=NUMBER),
)
METRICS_OF = obj(
    period=TEXT,
    since=TIME,
    until=TIME,
    recipe=or_null(TEXT),
    batch=or_null(WHOLE),
    parts=WHOLE,
    confidence=NUMBER,
    metrics=many(METRIC),
)
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
