"""The rule of two people: what one has asked is done when a second one with the role confirms it, and never before.

    asked ─► needs nobody else: done at once
      └────► waits, on disk ─► confirmed by another person: done, both names on record
                 ├───► withdrawn, by whoever may ask it
                 ├───► its time ends
                 └───► what it was based on is another by now: void, nothing was changed

Every door of the station leads here: pages, control socket, shell, PLC and SIGHUP. Two people are two accounts of the
pages, or two users of this computer: whether an account and a user are one person nobody knows, so the two kinds are
not mixed; root and the station's own user are no persons.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from station.access.asker import NOBODY, SHELL, Asker
from station.control import ControlError
from station.daemon.change_record import NO_REPLY, ChangeRefused, WantedEngine
from station.daemon.changeover import Changeover
from station.daemon.control_server import Handler
from station.daemon.second_person.subject import ENGINE, Subject, subject_of
from station.daemon.second_person.waiting import FILE, MOST_WAITING, Waiting, WaitingRequests
from station.line.recording.stage import Recorder
from station.records.audit import AuditEntry, Result

ACTION = "second person"
"""In the audit log."""
ON_DISK_S = 5.0
"""Longest wait for an entry; a disk that stands still is a warning of its own."""
_OWN = ("user", "asker", "on_behalf")
"""Keys of a request that say who asks."""


class SecondPerson:
    """Owns what waits. Threads of the control socket and of the PLC's commands ask."""

    def __init__(
        self,
        rules: Collection[str],
        lasts_min: float,
        changeover: Changeover,
        *,
        audit: Callable[[AuditEntry], None],
        event: Callable[[str, str, str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`rules`: what needs two people; empty: nothing. `clock`: seconds since the epoch."""
        self._rules = tuple(rules)
        self._lasts_s = lasts_min * 60.0
        self._changeover = changeover
        self._audit = audit
        self._event = event
        self._now = clock
        self._handlers: dict[str, Handler] = {}
        self._one_at_a_time = threading.Lock()
        work_dir: Path = changeover.configuration.work_dir
        self._waiting = WaitingRequests(work_dir / FILE, clock)

    def guarded(self, handlers: Mapping[str, Handler]) -> dict[str, Handler]:
        """The same handlers behind the rule, and `second`, by which a second person confirms."""
        self._handlers = dict(handlers)
        behind = {name: self._behind(handler) for name, handler in handlers.items()}
        return {**behind, "status": self._status, "second": self._second}

    @property
    def alone(self) -> Alone:
        """For doors at which there is nobody to wait for."""
        return Alone(self._changeover, self._check_alone, needs_two=ENGINE in self._rules)

    # ---- one person asks ----------------------------------------------------------------------------------------

    def _behind(self, handler: Handler) -> Handler:
        def ask(request: Mapping[str, Any]) -> dict[str, Any]:
            subject = self._subject(request)
            return handler(request) if subject is None else self._wait(subject, request["asker"])

        return ask

    def _subject(self, request: Mapping[str, Any]) -> Subject | None:
        """What of the request falls under the rule; None: nothing."""
        if not self._rules:
            return None
        message = {key: value for key, value in request.items() if key not in _OWN}
        try:
            subject = subject_of(message, self._changeover.configuration, self._changeover.engine_id)
        except queue.Empty:
            raise ControlError(NO_REPLY) from None
        return subject if subject is not None and subject.needs(self._rules) else None

    def _wait(self, subject: Subject, asker: Asker) -> dict[str, Any]:
        if asker.via == NOBODY:
            raise ControlError(
                f"{subject.what}: this needs two people ([access] second_person), and {asker.name} is none: ask on the "
                "pages, or as a user of this computer who is a member of a group of [access] maintain"
            )
        self._forget_ended()
        for there in self._waiting.all():
            same = (there.message, there.base, there.asked_by, there.via)
            if same == (subject.message, subject.base, asker.name, asker.via):
                return {"waiting": there.in_full()}
        if len(self._waiting.all()) >= MOST_WAITING:
            raise ControlError(f"{MOST_WAITING} requests wait for a second person already: confirm or withdraw some")
        now = self._now()
        end, (name, via) = now + self._lasts_s, (asker.name, asker.via)

        def made(number: int) -> Waiting:
            what = (subject.rule, subject.what, subject.why)
            return Waiting(number, *what, name, via, now, end, subject.message, subject.base)

        try:
            added = self._waiting.put(made)
        except OSError as problem:
            raise ControlError(f"the request cannot be kept ({problem}); nothing was changed") from problem
        self._enter(asker.name, added, "asked", f"{added.what}; why: {added.why or 'not said'}")
        return {"waiting": added.in_full()}

    # ---- a second person ----------------------------------------------------------------------------------------

    def _second(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """`{"command": "second", "action": "list"}`, or "confirm" and "withdraw" with `number`; "confirm" also with
        the `digest` of what the person has read.
        """
        self._forget_ended()
        action, asker = request.get("action"), request["asker"]
        if action == "list":
            return {"rules": list(self._rules), "waiting": [one.in_full() for one in self._waiting.all()]}
        if action not in ("confirm", "withdraw"):
            raise ControlError(f"action = {action!r}: list, confirm or withdraw")
        one = self._waiting.find(request.get("number"))
        if one is None:
            raise ControlError(f"request {request.get('number')} does not wait: it is done, withdrawn, or too old")
        if action == "withdraw":
            return self._withdrawn(one, asker)
        if not self._one_at_a_time.acquire(blocking=False):
            raise ControlError("another request is being confirmed; try again")
        try:
            return self._confirmed(one, asker, request.get("digest"))
        finally:
            self._one_at_a_time.release()

    def _withdrawn(self, one: Waiting, asker: Asker) -> dict[str, Any]:
        if not asker.may(one.message):
            raise self._refused(one, asker, "your roles do not allow it, so they do not allow to withdraw it")
        if self._taken_away(one):
            self._enter(asker.name, one, "withdrawn", f"asked by {one.asked_by}: {one.what}")
        return {"number": one.number}

    def _confirmed(self, one: Waiting, asker: Asker, digest: object) -> dict[str, Any]:
        """Does it, if all is as it was and this is another person who may. Raises ControlError."""
        if self._waiting.find(one.number) is None:
            raise ControlError(f"request {one.number} does not wait any more: somebody was faster")
        if why_not := _why_not(one, asker, digest):
            raise self._refused(one, asker, why_not)
        subject, changed = self._as_asked(one)
        if subject is None:
            self._taken_away(one)
            raise self._refused(one, asker, f"{changed}: the request is void, ask anew")
        both = f"{one.asked_by}, confirmed by {asker.name}"
        try:
            done = self._handlers[str(one.message["command"])]({**one.message, "user": both, "asker": asker})
        except ControlError as problem:
            raise self._refused(one, asker, str(problem)) from problem
        self._taken_away(one)
        self._enter(asker.name, one, "confirmed", f"asked by {one.asked_by}: {one.what}; why: {one.why or 'not said'}")
        return {"number": one.number, "what": one.what, "asked_by": one.asked_by, **done}

    def _as_asked(self, one: Waiting) -> tuple[Subject | None, str]:
        """The subject, if it is still that of which the person was asked; else what is another."""
        try:
            subject = self._subject(one.message)
        except ControlError as problem:
            return None, str(problem)
        if subject is None:
            return None, "it has been done, or changes nothing any more"
        other = [name for name in sorted(subject.base.keys() | one.base.keys())
                 if subject.base.get(name) != one.base.get(name)]  # fmt: skip
        return (None, f"changed meanwhile: {', '.join(other)}") if other else (subject, "")

    # ---- on record ----------------------------------------------------------------------------------------------

    def _status(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self._forget_ended()
        reply = self._handlers["status"](request)
        waiting = [one.in_short() for one in self._waiting.all()]
        reply["status"]["second_person"] = {"rules": list(self._rules), "waiting": waiting}
        return reply

    def _forget_ended(self) -> None:
        try:
            gone = self._waiting.ended()
        except OSError as problem:
            raise ControlError(f"what waits for a second person cannot be kept: {problem}") from problem
        for one in gone:
            self._enter("station", one, "ended", f"nobody has confirmed in time: {one.what}", "refused")

    def _taken_away(self, one: Waiting) -> bool:
        try:
            return self._waiting.take_away(one)
        except OSError as problem:  # it is void all the same: what it was based on is another now
            self._event("second_person", "error", f"request {one.name} cannot be taken away: {problem}")
            return True

    def _refused(self, one: Waiting, asker: Asker, why: str) -> ControlError:
        self._enter(asker.name, one, "confirmed", f"asked by {one.asked_by}: {one.what}; {why}", "refused")
        return ControlError(f"request {one.number} was not done: {why}")

    def _enter(self, who: str, one: Waiting, deed: str, detail: str, result: Result = "done") -> None:
        name = who if who == "station" else f"operator {who}"
        self._audit(AuditEntry(name, ACTION, one.name, deed, result, f"{detail} [{one.digest[:16]}]"))

    def _check_alone(self, request: Mapping[str, Any], who: str) -> None:
        try:
            subject = self._subject(request)
        except ControlError:
            return  # refused by whoever does it, with its entry
        if subject is not None:
            problem = f"{subject.what}: this needs two people ([access] second_person); ask on the pages or in a shell"
            self._changeover.changes.refuse(who, subject.rule, subject.what, problem)
            raise ChangeRefused(problem)


def _why_not(one: Waiting, asker: Asker, digest: object) -> str:
    """Why this person does not count as the second one; empty: he does."""
    if asker.via == NOBODY:
        return f"{asker.name} is no person: confirm on the pages, or as a user of this computer"
    if asker.via != one.via:
        where = "in a shell, by another user of this computer" if one.via == SHELL else "on the pages"
        return f"it was asked {where.partition(',')[0]} by {one.asked_by}, so it is confirmed {where}"
    if asker.name.casefold() == one.asked_by.casefold():
        return f"{asker.name} has asked for it: a second person has to confirm it"
    if not asker.may(one.message):
        return f"the roles of {asker.name} do not allow it"
    if digest != one.digest:
        return "it is not the request that you have read; look at it again"
    return ""


class Alone:
    """Changes that are asked where nobody can be waited for: by the PLC, and by SIGHUP. Raises ChangeRefused where the
    rule wants two people; a recipe that is there may be selected.
    """

    def __init__(
        self, changeover: Changeover, check: Callable[[Mapping[str, Any], str], None], *, needs_two: bool
    ) -> None:
        """`needs_two`: no engine is taken up by one person alone."""
        self._changeover = changeover
        self._check = check
        self._needs_two = needs_two

    def select_recipe(self, recipe: str | int, who: str) -> None:
        """See `Changeover`."""
        self._changeover.select_recipe(recipe, who)

    def activate_engine(self, wanted: WantedEngine, who: str) -> None:
        """See `Changeover`."""
        action = "rollback" if wanted.version is None else "activate"
        self._check({"command": "engine", "action": action, "version": wanted.version, "why": wanted.why}, who)
        self._changeover.activate_engine(wanted, who)

    def reload(self, who: str) -> None:
        """See `Changeover`."""
        self._check({"command": "reload"}, who)
        self._changeover.reload(who)

    def take_taught_engine(self, engine: Path) -> None:
        """See `Changeover`."""
        active = self._changeover.configuration
        if self._needs_two and active.engine_path == engine and not self._changeover.engine_id:
            raise ChangeRefused(f"{engine} is taught; two people take it up ([access] second_person): station reload")
        self._changeover.take_taught_engine(engine)


def rule_of(changeover: Changeover, recorder: Recorder) -> SecondPerson:
    """As the configuration has it."""
    access = changeover.configuration.settings.access

    def enter(entry: AuditEntry) -> None:
        """On disk before anybody hears of it: a kill between two people takes no entry."""
        recorder.audit(entry)
        recorder.flush(ON_DISK_S)

    return SecondPerson(
        access.second_person,
        access.second_person_min,
        changeover,
        audit=enter,
        event=recorder.event,
    )
