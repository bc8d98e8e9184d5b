"""Agreement studies: planned, shown to the station, rated blindly by people, and what came out with every picture."""

from __future__ import annotations

import secrets
import time

import cv2
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from station.control import ControlError
from station.hmi.guard import field
from station.hmi.pages.maintenance.engines import tabs_of
from station.hmi.rendering import language_for, page, person_of, site_of, words_of
from station.hmi.rights import Right
from station.hmi.setup.active import active_of
from station.labels.schema import LabelError
from station.msa.document import agreement, disagreements, figures, limits_in_words, verdict
from station.msa.labelled import labelled_parts
from station.msa.making import WRITERS, Found, Source, as_file, find, rows_of, trials_in
from station.msa.storage import Rating, plan, rate, ratings_of, studies, study_named
from station.msa.study import MAX_PARTS, MAX_TRIALS, PARTS, STATION, TRIALS, KnownPart, Study, StudyError, parts_from
from station.records.schema import RecordingError
from station.reports.production.rows import MissingPackage

TYPES = {".html": "text/html; charset=utf-8", ".pdf": "application/pdf", ".csv": "text/csv; charset=utf-8"}
JPEG_QUALITY = 92
LONGEST_LIST = 20_000


def routes() -> list[Route]:
    """A rating is kept at once, and stays."""
    one = "/agreement/{study}"
    return [
        Route("/agreement", overview, name="agreement"),
        Route("/agreement", make, name="agreement-plan", methods=["POST"]),
        Route(one, shown, name="agreement-study"),
        Route(one + "/run", run, name="agreement-run", methods=["POST"]),
        Route(one + "/rate", rating, name="agreement-rate"),
        Route(one + "/rate", said, name="agreement-said", methods=["POST"]),
        Route(one + "/rate/{trial:int}/{place:int}.jpg", blind_picture, name="agreement-picture"),
        Route(one + "/file/{kind}", file, name="agreement-file"),
    ]


def overview(request: Request, *, status: int = 200, problem: str = "") -> Response:
    """All studies, and the form for a new one."""
    source = _source(request)
    try:
        rows = [(study, _progress(source, study)) for study in studies(source.file)]
    except (StudyError, RecordingError) as wrong:
        rows, problem = [], problem or str(wrong)
    return page(
        request,
        "agreement.html",
        status=status,
        problem=problem,
        rows=rows,
        usual=(PARTS, TRIALS),
        most=(MAX_PARTS, MAX_TRIALS),
        may_plan=person_of(request).may(Right.OVERRULE),
        asked=getattr(request.state, "form", {}),
        **tabs_of(request),
    )


def make(request: Request) -> Response:
    """Plans a study of parts that are written into the form, or of labelled ones."""
    site, name = site_of(request), field(request, "name").strip()
    seed = secrets.randbelow(2**31)
    people = tuple(each.strip() for each in field(request, "appraisers").split(",") if each.strip())
    text = field(request, "parts")
    try:
        trials = _number(request, "trials")
        recipe = active_of(site).settings.recipe.name
        if text.strip():
            if len(text) > LONGEST_LIST:
                raise StudyError(f"parts: a list of at most {LONGEST_LIST} letters")
            parts = parts_from(text.splitlines())
        else:
            parts = labelled_parts(site.records, site.labels, _number(request, "labelled"), seed)
        study = Study(name, parts, trials, seed, people, recipe, time.time(), person_of(request).name)
        plan(_source(request).file, study)
    except (StudyError, RecordingError, LabelError) as wrong:
        return overview(request, status=400, problem=str(wrong))
    return RedirectResponse(request.app.url_path_for("agreement-study", study=name), 303)


def shown(request: Request, *, status: int = 200, problem: str = "") -> Response:
    """What came out so far. Who has not rated every part yet does not see it: the study is blind."""
    found = _found(request)
    study, person = found.study, person_of(request)
    mine = _left(request, study)
    is_blind = _has_begun(study, mine)
    may_rate = person.may(Right.REVIEW) and (not study.appraisers or person.name in study.appraisers)
    analysis = found.analysis
    pictures = {}
    if not is_blind:
        source = _source(request)
        pictures = {one.part.name: rows_of(source, found, one.part.name) for one in analysis.disagreements}
    return page(
        request,
        "agreement_study.html",
        status=status,
        problem=problem,
        study=study,
        trials=found.trials,
        analysis=analysis,
        is_blind=is_blind,
        localized=language_for(request).figure,
        verdict=verdict(analysis),
        figures=figures(analysis),
        agreement=agreement(analysis),
        disagreements=disagreements(analysis),
        limits=limits_in_words(),
        pictures=pictures,
        files=[end[1:] for end in WRITERS],
        may_run=person.may(Right.OPERATE) and len(found.trials.runs) < study.trials,
        may_rate=may_rate and mine is not None,
        **tabs_of(request),
    )


def run(request: Request) -> Response:
    """Has the station begin its next trial; the page of the challenge test leads through it."""
    found = _found(request)
    study = found.study
    done = len(found.trials.runs)
    if done >= study.trials:
        return shown(request, status=409, problem=words_of(request).gettext("The station has shown all its trials."))
    order = study.order(STATION, done + 1 + found.trials.given_up)
    asked = {"command": "challenge", "action": "study", "study": study.name}
    try:
        site_of(request).ask(person_of(request), {**asked, "parts": [[part.name, part.good] for part in order]})
    except ControlError as refusal:
        return shown(request, status=409, problem=str(refusal))
    return RedirectResponse(request.app.url_path_for("maintenance-challenge"), 303)


def rating(request: Request, *, status: int = 200, problem: str = "") -> Response:
    """The next part of this person, without what anybody else said of it."""
    study = _study(request)
    left = _left(request, study)
    trial, parts = left if left is not None else (study.trials, [])
    return page(
        request,
        "agreement_rate.html",
        status=status,
        problem=problem,
        study=study,
        trial=trial,
        part=parts[0] if parts else None,
        place=len(study.parts) - len(parts) + 1,
        **tabs_of(request),
    )


def said(request: Request) -> Response:
    """Keeps it, and leads to the next part."""
    study = _study(request)
    word, part = field(request, "said"), field(request, "part")
    left = _left(request, study)
    if word not in ("accept", "reject"):
        return rating(request, status=400, problem=f'"{word:.40}": accept or reject')
    if left is None or not left[1] or left[1][0].name != part:  # a second tap, or a page that was left open
        return RedirectResponse(request.app.url_path_for("agreement-rate", study=study.name), 303)
    name = person_of(request).name
    try:
        rate(_source(request).file, study, [Rating(name, left[0], part, word == "accept")], name)
    except StudyError as wrong:
        return rating(request, status=409, problem=str(wrong))
    return RedirectResponse(request.app.url_path_for("agreement-rate", study=study.name), 303)


def blind_picture(request: Request) -> Response:
    """The picture of the part that this person rates now, and of no other."""
    study = _study(request)
    left = _left(request, study)
    trial, place = request.path_params["trial"], request.path_params["place"]
    if left is None or left[0] != trial or not left[1] or place != len(study.parts) - len(left[1]) + 1:
        raise HTTPException(404, "this part is not the one that is rated now")
    source = _source(request)
    for row in rows_of(source, find(source, study.name), left[1][0].name)[:1]:
        for view in source.eyes.look(row).views:
            if view.image is not None:
                _, data = cv2.imencode(".jpg", view.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
                return Response(data.tobytes(), media_type="image/jpeg", headers={"Cache-Control": "no-store"})
    raise HTTPException(404, "there is no picture of this part")


def file(request: Request) -> Response:
    """The study as a file to be kept."""
    found, end = _found(request), f".{request.path_params['kind']}"
    if end not in TYPES or _has_begun(found.study, _left(request, found.study)):
        raise HTTPException(404, "there is no such file of this study, or not yet")
    try:
        content = as_file(_source(request), found, end, language_for(request))
    except MissingPackage as missing:
        raise HTTPException(409, str(missing)) from missing
    headers = {"Content-Disposition": f'attachment; filename="msa_{found.study.name}{end}"'}
    return Response(content, media_type=TYPES[end], headers=headers)


def _source(request: Request) -> Source:
    site = site_of(request)
    return Source(site.records, site.eyes, site.calendar, site.name)


def _study(request: Request) -> Study:
    """The study of the address. Raises HTTPException 404."""
    try:
        return study_named(_source(request).file, request.path_params["study"])
    except StudyError as problem:
        raise HTTPException(404, str(problem)) from problem


def _found(request: Request) -> Found:
    _study(request)
    return find(_source(request), request.path_params["study"])


def _left(request: Request, study: Study) -> tuple[int, list[KnownPart]] | None:
    """(trial, parts that this person has not rated in it, in his blind order); None: nothing is left to do."""
    name = person_of(request).name
    said_before = ratings_of(_source(request).file, study.name)
    for trial in range(1, study.trials + 1):
        done = {one.part for one in said_before if (one.appraiser, one.trial) == (name, trial)}
        left = [part for part in study.order(name, trial) if part.name not in done]
        if left:
            return trial, left
    return None


def _has_begun(study: Study, left: tuple[int, list[KnownPart]] | None) -> bool:
    """Whether somebody is between his first part and his last one."""
    return left is not None and (left[0] > 1 or len(left[1]) < len(study.parts))


def _progress(source: Source, study: Study) -> list[tuple[str, int]]:
    """(who, decisions) of everybody."""
    counts: dict[str, int] = {}
    for one in [*trials_in(source, study).ratings, *ratings_of(source.file, study.name)]:
        counts[one.appraiser] = counts.get(one.appraiser, 0) + 1
    return sorted(counts.items(), key=lambda one: (one[0] != STATION, one[0]))


def _number(request: Request, name: str) -> int:
    """Raises StudyError."""
    text = field(request, name).strip()
    if not (text.isascii() and text.isdecimal() and len(text) < 5):
        raise StudyError(f'{name} = "{text:.40}": a whole number')
    return int(text)
