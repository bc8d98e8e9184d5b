"""What other processes ask through the control socket: `station status`, `reload`, `recipe select`, `teach`, ..."""

from __future__ import annotations

import queue
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engines.bundle.manifest import VARIANTS_ANSWERS
from engines.teach_request import FROM_LINE, TeachRequest
from station.codes import OfflineReason
from station.control import ControlError
from station.daemon.candidate.shadowing import Shadowing, ShadowRefused
from station.daemon.change_record import NO_REPLY, ChangeRefused, WantedEngine
from station.daemon.changeover import Changeover
from station.daemon.control_server import Handler
from station.daemon.second_person.release import Quarantine
from station.daemon.set_up.settings_file import SettingsFile
from station.jobs.beside.virtual_challenge import VIRTUAL, VirtualChallenges
from station.jobs.process import JobError
from station.jobs.refresh_process import MAX_NAMED, MAX_PARTS, MIN_PARTS, RefreshAsked, RefreshProcess
from station.jobs.teaching_from_line import TeachingFromLine
from station.line.challenge.messages import ConfirmPart, ResetChallenge, StartChallenge, StartStudy
from station.line.recording.batches import Batches
from station.line.recording.messages import RecorderHealth
from station.line.signalling.messages import ClearFault, Collect, Message, SetOnline
from station.line.signalling.snapshot import Snapshot, readable
from station.monitoring.stage import Monitoring
from station.records.audit import AuditEntry
from station.records.batches.rows import BatchError

REPLY_S = 5.0
LONGEST_WHY = 500


class Requests:
    """The handlers of the control socket, each called on the thread of the client that asks.

    Holds no state of its own; signalling, changeover and teaching do what is asked, or refuse it with a ControlError.
    """

    def __init__(
        self,
        session: str,
        *,
        post: Callable[[Message], None],
        snapshot: Callable[[], Snapshot],
        changeover: Changeover,
        teaching: TeachingFromLine,
        refreshing: RefreshProcess,
        health: Callable[[], RecorderHealth],
        monitoring: Monitoring | None,
        shadowing: Shadowing,
        audit: Callable[[AuditEntry], None],
        batches: Batches,
    ) -> None:
        self._session = session
        self._post = post
        self._snapshot = snapshot
        self._changeover = changeover
        self._teaching = teaching
        self._refreshing = refreshing
        self._health = health
        self._monitoring = monitoring
        self._shadowing = shadowing
        self._audit = audit
        self._batches = batches
        self._quarantine = Quarantine(changeover.configuration.records_dir, audit)

    @property
    def handlers(self) -> dict[str, Handler]:
        """By the name of the command."""
        return {
            "status": self._status,
            "online": lambda request: self._posted(SetOnline(True), request),
            "offline": lambda request: self._posted(SetOnline(False, OfflineReason.BY_OPERATOR), request),
            "clear": lambda request: self._posted(ClearFault(), request),
            "reload": self._reload,
            "settings": self._settings,
            "recipe": self._select_recipe,
            "batch": self._batch,
            "teach": self._teach,
            "challenge": self._challenge,
            "engine": self._engine,
            "shadow": self._shadow,
            "refresh": self._refresh,
            "monitoring": self._learn_again,
            "quarantine": self._quarantine.reply,
        }

    def _posted(self, message: SetOnline | ClearFault, request: Mapping[str, Any]) -> dict[str, Any]:
        """Who asks from another computer is not seen at the line: his name and address go on record."""
        self._post(message)
        if request["asker"].is_remote:
            self._audit(AuditEntry(f"operator {request['user']}", str(request["command"]), "", "asked", "done"))
        return {}

    def _status(self, _request: Mapping[str, Any]) -> dict[str, Any]:
        try:
            snapshot = self._snapshot()
        except queue.Empty:
            raise ControlError(NO_REPLY) from None
        return {
            "status": {
                **readable(snapshot),
                "session": self._session,
                "batch": None if self._batches.open is None else asdict(self._batches.open),
                "teaching": self._teaching.status.as_dict(),
                "refresh": self._refreshing.status.as_dict(),
                "refused": self._changeover.changes.refusal,
                "refused_ago_s": self._changeover.changes.refused_ago_s,
                "runtime": self._changeover.runtime,
                "warm": {} if self._changeover.warm is None else self._changeover.warm.status,
                "plan": self._changeover.missing_plan.building.status.as_dict(),
                "records": asdict(self._health()),
                "shadow": self._shadowing.status,
                "monitoring": {"state": "off"} if self._monitoring is None else self._monitoring.status,
                "virtual_challenge": {"state": "off"}
                if self._monitoring is None
                else self._monitoring.status_beside(VIRTUAL),
                "trends": {"state": "off"} if self._monitoring is None else self._monitoring.status_beside("trends"),
            }
        }

    def _reload(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Takes up a changed configuration without a restart; refuses what needs one. The old one stays on error."""
        return self._changed(self._changeover.reload, request)

    def _settings(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Another content of station.toml or of the recipe, see `SettingsFile.of`."""
        file = SettingsFile.of(request)
        return self._changed(lambda who: self._changeover.save_settings(file, who), request)

    def _select_recipe(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """`{"command": "recipe", "recipe": "flange", "without_engine": false}`, or its number."""
        recipe = request.get("recipe")
        if not isinstance(recipe, str | int) or isinstance(recipe, bool):
            raise ControlError(f"recipe = {recipe!r}: the name or the number of a recipe")
        without_engine = request.get("without_engine") is True
        return self._changed(
            lambda who: self._changeover.select_recipe(recipe, who, without_engine=without_engine), request
        )

    def _batch(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """`{"command": "batch", "action": "begin", "name": "8812", "product": "", "order": ""}`, or "end"."""
        who, before = f"operator {request['user']}", self._batches.open
        was = "none" if before is None else before.name
        try:
            match request.get("action"):
                case "begin":
                    texts = {"product": request.get("product", ""), "order_no": request.get("order", "")}
                    recipe = self._changeover.configuration.settings.recipe.name
                    row = self._batches.begin(request.get("name"), who, recipe=recipe, **texts)
                    after = row.name
                case "end":
                    row, after = self._batches.end(who), "none"
                case other:
                    raise ControlError(f"action = {other!r}: begin or end")
        except BatchError as problem:
            raise ControlError(str(problem)) from problem
        self._audit(AuditEntry(who, "batch", was, after, "done", f"number {row.number}"))
        return {"batch": asdict(row)}

    def _challenge(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """`{"command": "challenge", "action": "start"}`, "confirm", or "reset" with `who` and `why`.

        "study" with `study` and `parts`, a list of [name, whether it is good] in the order in which they are shown.
        """
        who = str(request.get("who", "")).strip()
        match request.get("action"):
            case "start":
                message: StartChallenge | StartStudy | ConfirmPart | ResetChallenge = StartChallenge(
                    f"operator {request['user']}"
                )
            case "study":
                message = StartStudy.of(request, f"operator {request['user']}")
            case "confirm":
                message = ConfirmPart(f"operator {request['user']}")
            case "reset" if who:
                message = ResetChallenge(f"{who} ({request['user']})", str(request.get("why", "")))
            case "reset":
                raise ControlError("who is missing: the name of the person who resets the test")
            case other:
                raise ControlError(f"action = {other!r}: start, study, confirm or reset")
        self._post(message)
        try:
            refused = message.reply.get(timeout=REPLY_S)
        except queue.Empty:
            raise ControlError(NO_REPLY) from None
        if refused:
            raise ControlError(refused)
        return {}

    def _engine(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """`{"command": "engine", "action": "activate", "version": "7", "why": "...", "variants": "remove"}`, or
        "rollback" with `why`.
        """
        why, version, variants = request.get("why", ""), request.get("version"), request.get("variants")
        if not (isinstance(why, str) and len(why) <= LONGEST_WHY):
            raise ControlError(f"why: a text of at most {LONGEST_WHY} letters")
        if variants is not None and variants not in VARIANTS_ANSWERS:
            raise ControlError(f"variants = {variants!r}: {' or '.join(VARIANTS_ANSWERS)}, or nothing")
        match request.get("action"):
            case "activate" if isinstance(version, str) and version:
                wanted = WantedEngine(version, why.strip(), variants)
            case "activate":
                raise ControlError(f"version = {version!r}: number, name or start of the id of a version")
            case "rollback":
                wanted = WantedEngine(None, why.strip())
            case other:
                raise ControlError(f"action = {other!r}: activate or rollback")
        return self._changed(lambda who: self._changeover.activate_engine(wanted, who), request)

    def _shadow(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """`{"command": "shadow", "version": "7"}`: a version into the shadow; without a version: switches it off."""
        version, who = request.get("version"), f"operator {request['user']}"
        if not (version is None or (isinstance(version, str) and version)):
            raise ControlError(f"version = {version!r}: number, name or start of the id of a version, or nothing")
        try:
            if version is None:
                self._shadowing.end(who)
                return {"version": ""}
            return {"version": self._shadowing.begin(version, who)}
        except ShadowRefused as problem:
            raise ControlError(str(problem)) from problem

    def _refresh(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """`{"command": "refresh", "action": "start", "parts": 500, "only": [], "vetoed": []}`, or "stop".

        With `"collected": true` from the images that were collected last, which `only` names by their files. With the
        action "kinds" only what rejects are called is learned anew, from all labels.
        """
        match request.get("action"):
            case "start":
                pass
            case "kinds":
                return self._begin(RefreshAsked(0, by=str(request["user"]), kinds=True))
            case "stop":
                self._refreshing.stop()
                return {}
            case other:
                raise ControlError(f"action = {other!r}: start, kinds or stop")
        parts = request.get("parts", 0)
        only, vetoed = _names(request, "only"), _names(request, "vetoed")
        if not (isinstance(parts, int) and MIN_PARTS <= (len(only) or parts) <= MAX_PARTS):
            raise ControlError(f"parts = {len(only) or parts!r}: a whole number from {MIN_PARTS} to {MAX_PARTS}")
        collected = request.get("collected") is True
        return self._begin(RefreshAsked(max(parts, len(only)), only, vetoed, str(request["user"]), collected))

    def _begin(self, asked: RefreshAsked) -> dict[str, Any]:
        """Has a candidate made."""
        if self._changeover.configuration.engine_store is None:
            raise ControlError("a candidate needs [engine] store in station.toml; the engine is a plain folder")
        try:
            self._refreshing.start(asked)
        except JobError as problem:
            raise ControlError(str(problem)) from problem
        return {}

    def _learn_again(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """`{"command": "monitoring", "action": "learn", "why": "new lamp"}`: what comes from now on is normal.

        With the action "challenge": a virtual challenge now.
        """
        if request.get("action") == "challenge":
            return self._challenge_virtually(str(request["user"]))
        why = str(request.get("why", "")).strip()
        if request.get("action") != "learn":
            raise ControlError(f"action = {request.get('action')!r}: learn or challenge")
        if not why:
            raise ControlError("why is missing: what was changed, so that what comes now is normal")
        if self._monitoring is None:
            raise ControlError("nothing is watched: [monitoring] enabled = false")
        before = self._monitoring.status["state"]
        if not self._monitoring.learn_again(REPLY_S):
            raise ControlError(NO_REPLY)
        self._audit(AuditEntry(f"operator {request['user']}", "monitoring", before, "learning", "done", why[:1000]))
        return {}

    def _challenge_virtually(self, user: str) -> dict[str, Any]:
        companion = None if self._monitoring is None else self._monitoring.companions.get(VIRTUAL)
        if not isinstance(companion, VirtualChallenges):
            raise ControlError("nothing challenges the station: [monitoring] enabled = false")
        if not companion.now(user):
            raise ControlError("a virtual challenge is under way: wait for it")
        return {}

    def _changed(self, change: Callable[[str], None], request: Mapping[str, Any]) -> dict[str, Any]:
        try:
            change(f"operator {request['user']}")
        except ChangeRefused as problem:
            raise ControlError(f"refused, everything stays as it was: {problem}") from problem
        configuration = self._changeover.configuration
        return {
            "checksum": configuration.checksum,
            "recipe": configuration.settings.recipe.name,
            "recipe_checksum": configuration.recipe_checksum,
        }

    def _teach(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """`{"command": "teach", "parts": 60, "output": "engine"}`: the next parts of the line teach an engine; with
        `"collect": true` and no output their images are only kept.
        """
        parts = request.get("parts")
        output, collects = request.get("output"), request.get("collect") is True
        if not (isinstance(parts, int) and 20 <= parts <= 100_000):
            raise ControlError(f"parts = {parts!r}: a whole number from 20 to 100000")
        if not collects and not (isinstance(output, str) and output):
            raise ControlError(f"output = {output!r}: the folder of the new engine")
        how = TeachRequest(**{name: request[name] for name in FROM_LINE if name in request})
        budgets = (how.false_reject_budget, how.review_budget)
        if not (all(isinstance(each, float) and 0 < each < 1 for each in budgets) and isinstance(how.seed, int)):
            raise ControlError("false_reject_budget, review_budget: a number between 0 and 1; seed: a whole number")
        rates = (how.parts_per_hour, how.max_reviews_per_hour)
        if not all(each is None or (isinstance(each, float) and each > 0) for each in rates):
            raise ControlError("parts_per_hour, max_reviews_per_hour: a number above 0")
        if how.max_reviews_per_hour is not None and how.parts_per_hour is None:
            raise ControlError("max_reviews_per_hour is a share only of a known rate: give parts_per_hour, too")
        if how.variants not in ("ask", *VARIANTS_ANSWERS):
            raise ControlError(f"variants = {how.variants!r}: ask, keep or remove")
        configuration = self._changeover.configuration
        try:
            self._teaching.start(
                parts,
                None if collects else configuration.resolve(Path(str(output))),
                cameras=len(configuration.settings.cameras),
                request=how,
            )
        except JobError as problem:
            raise ControlError(str(problem)) from problem
        self._post(Collect(self._teaching.take))
        return {}


def _names(request: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """A list of names of parts or images, each on a line of its own later. Raises ControlError."""
    given = request.get(key, [])
    is_list = isinstance(given, list) and len(given) <= MAX_NAMED
    if not (is_list and all(isinstance(name, str) and name.isprintable() and name.strip() == name for name in given)):
        raise ControlError(f"{key}: a list of at most {MAX_NAMED} names")
    return tuple(given)
