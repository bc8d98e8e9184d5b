"""After an activation: the engine before runs in the shadow, until the new one has kept what was agreed, or has not.

    activated ─► probation run ─┬─► enough parts: passed
                                ├─► rejects more, the one before does not: warning, or back to it, once
                                ├─► judges a master part wrongly, the one before rightly; raises, or hangs: the same
                                └─► both reject more: not the engine; watching for drift says what has changed

That a probation is due follows from the history of the store and from the runs on record, so no kill and no restart
loses one, or its sums.
"""

from __future__ import annotations

import calendar
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from engines.bundle.reading import read_manifest
from engines.errors import EngineError
from engines.store.history import CHANGES, Action
from engines.store.store import EngineStore
from engines.store.versions import Version
from station.codes import ReasonCode, WarningCode
from station.configuration.load import LoadedConfiguration
from station.daemon.candidate.against import Against, against, is_known
from station.daemon.change_record import ChangeRefused
from station.line.inspection.shadow_handle import ShadowSaid
from station.line.recording.stage import Recorder
from station.line.signalling.messages import Warn
from station.records.audit import AuditEntry, Result
from station.records.challenge_runs import RunVerdict
from station.records.challenges import ChallengeRow
from station.records.engines.shadows import probation_sums, runs_of
from station.records.schema import RecordingError, open_reader
from station.reports.candidate.probation import Finding, Sums, Terms
from station.results import InspectionRecord, Verdict

log = structlog.get_logger()

BY_STATION = "station"
FAILED = "probation failed"
"""How the reason of each such end begins, see `Finding`."""
FAULTS_IN_A_ROW = 3
"""Parts that the engine cannot judge. One may have a damaged picture."""
ENGINE_FAULTS = frozenset({ReasonCode.ENGINE_RAISED, ReasonCode.SCORE_NOT_FINITE})
"""Not that of a GPU, which the engine before would meet, too."""
SAID_S, LOOK_S = 10.0, 0.2
"""How long to wait for what the engine before says of a master part."""
INTERRUPTED = "the active engine, recipe or limits were changed"
"""Why a run ended that goes on as another one."""


@dataclass(frozen=True, slots=True)
class Due:
    """The last change of the store was an activation."""

    has_failed: bool
    """Its probation is over, and has failed; else it is not over."""
    before: Version
    since_s: float
    """Of the activation, seconds since the epoch."""
    may_go_back: bool
    """False: the station went back from this engine once already; a second time needs a person."""


def due(configuration: LoadedConfiguration, engine_id: str, records: Path) -> Due | None:
    """Whether the engine that is active is on probation. Never raises: what cannot be read has no probation."""
    folder = configuration.engine_store
    if folder is None or configuration.settings.engine.probation_parts == 0:
        return None
    try:
        store = EngineStore(folder)
        events = store.events()
        last = next((event for event in reversed(events) if event.action in CHANGES), None)
        if last is None or last.action is not Action.ACTIVATE or last.before is None or last.before == last.after:
            return None
        active = store.active()
        if active is None or active.name != last.after or not engine_id.startswith(active.id_start):
            return None
        before = store.find(last.before)
        since_s = float(calendar.timegm(time.strptime(last.time, "%Y-%m-%dT%H:%M:%SZ")))
        with closing(open_reader(records)) as connection:
            done = runs_of(connection, engine_id, since_s)
        over = [run for run in done if run.end_wall_time is not None and run.ended_why != INTERRUPTED]
        has_failed = any(run.ended_why.startswith(FAILED) for run in over)
        if over and not has_failed:
            return None
        returned = any(
            event.action is Action.ROLLBACK and event.before == last.after and event.who == BY_STATION
            for event in events
        )
        return Due(has_failed, before, since_s, not returned)
    except (EngineError, RecordingError, sqlite3.Error, ValueError) as problem:
        log.warning("no probation: what was activated cannot be read", problem=str(problem))
        return None


class Probation:
    """Owns the sums of the probation that runs. `begin` under the lock of its owner, `add` on the shadow's thread."""

    def __init__(self, recorder: Recorder, post: Callable[[Warn], None]) -> None:
        self._recorder = recorder
        self._post = post
        self._sums = Sums()
        self._terms: Terms | None = None
        self._due: Due | None = None
        self._goes_back = False
        self._engine = ""
        self._finding = Finding.GOES_ON
        self._records = Path()
        self._faults = 0
        """Parts in a row that the active engine could not judge. Of the signalling thread."""
        self._ending = threading.Lock()
        self.go_back: Callable[[str], None] = lambda _why: None
        """Makes the engine before the active one; asked on a thread of its own. Raises ChangeRefused."""
        self.ended: Callable[[str], None] = lambda _why: None
        """Ends the run; asked on a thread of its own."""

    def begin(self, found: Due, configuration: LoadedConfiguration, engine_id: str, records: Path) -> None:
        """Takes up the sums of all runs since the activation. Raises EngineError, RecordingError, sqlite3.Error."""
        settings = configuration.settings
        assert configuration.engine_path is not None
        promised = read_manifest(configuration.engine_path.resolve()).calibration.false_reject_budget
        with closing(open_reader(records)) as connection:
            self._sums = Sums(*probation_sums(connection, engine_id, found.since_s))
            known = against(connection, engine_id, found.since_s)
        self._terms = Terms(settings.engine.probation_parts, promised + settings.monitoring.defect_share)
        self._goes_back = settings.engine.on_probation_failure == "rollback" and found.may_go_back
        self._due, self._engine, self._finding = found, engine_id, Finding.GOES_ON
        self._records, self._faults = records, 0
        self._post(Warn(WarningCode.PROBATION_FAILED, False))
        if known is not None:  # of before a restart
            self._start(self._end_against, known)

    def forget(self, *, has_failed: bool) -> None:
        """Nothing is on probation. `has_failed`: the active engine has not passed it, which stands until it goes."""
        self._terms = self._due = None
        self._post(Warn(WarningCode.PROBATION_FAILED, has_failed))

    def add(self, record: InspectionRecord, said: ShadowSaid) -> None:
        """Both have judged a part."""
        terms = self._terms
        if terms is None or record.part.challenge or said.verdict is Verdict.ERROR:
            return
        self._sums = self._sums.with_part(
            rejected=record.decision.verdict is Verdict.FAIL, rejected_before=said.verdict is Verdict.FAIL
        )
        elapsed_s = 0.0 if self._due is None else time.time() - self._due.since_s
        finding = terms.finding(self._sums, elapsed_s)
        if finding is self._finding:
            return
        self._finding = finding
        if finding is not Finding.GOES_ON:
            self._start(self._end_by_sums, finding, terms)

    def record(self, record: InspectionRecord) -> None:
        """A part has its result; on the signalling thread. An engine that does not judge ends its probation."""
        if self._terms is None or record.engine_id != self._engine:
            return
        self._faults = self._faults + 1 if record.decision.code in ENGINE_FAULTS else 0
        if self._faults == FAULTS_IN_A_ROW:
            detail = record.decision.reasons[0].detail if record.decision.reasons else ""
            why = f"{FAULTS_IN_A_ROW} parts in a row: {record.decision.code.name} {detail}".rstrip()
            self._start(self._end_against, Against(Finding.FAULT, why))

    def challenge(self, row: ChallengeRow) -> None:
        """A challenge test has changed; on the signalling thread. One that has failed ends the probation."""
        run = row.run
        has_failed = run.verdict is RunVerdict.FAILED and not run.reset_by and not run.study
        if has_failed and self._terms is not None and row.engine_id == self._engine:
            self._start(self._after_test, run.number)

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        threading.Thread(target=work, args=arguments, name="probation-end", daemon=True).start()

    def _after_test(self, number: int) -> None:
        """Waits until the engine before has said what it makes of the master part."""
        due = self._due
        end = time.monotonic() + SAID_S
        while due is not None and self._terms is not None:
            try:
                with closing(open_reader(self._records)) as connection:
                    if is_known(connection, number, self._engine, due.since_s) or time.monotonic() > end:
                        found = against(connection, self._engine, due.since_s)
                        break
            except (RecordingError, sqlite3.Error) as problem:
                log.warning("a failed challenge test is not held against the engine", problem=str(problem))
                return
            time.sleep(LOOK_S)
        else:
            return
        if found is not None:
            self._end_against(found)

    def _end_against(self, found: Against) -> None:
        self._end(found.finding, f"probation {found.finding.value}: {found.why}", may_go_back=found.is_certain)

    def _end_by_sums(self, finding: Finding, terms: Terms) -> None:
        assert self._due is not None
        sums, before = self._sums, self._due.before
        why = (
            f"probation {finding.value}: {sums.rejected} of {sums.parts} parts rejected, {sums.rejected_before} by "
            f"{before.name}; agreed {terms.agreed_share:.2%}"
        )
        self._end(finding, why, may_go_back=finding is Finding.FAILED)

    def _end(self, finding: Finding, why: str, *, may_go_back: bool) -> None:
        with self._ending:
            if self._terms is None or self._due is None:
                return  # something else has ended it
            self._terms, self._finding, before = None, finding, self._due.before
        passed = finding is Finding.PASSED
        result: Result = "done" if passed else "refused"
        self._recorder.audit(AuditEntry(BY_STATION, "probation", before.name, self._engine[:12], result, why))
        self._recorder.event("probation", "info" if passed else "warning", why)
        log.info("probation ended", finding=finding.value, why=why)
        if may_go_back and self._goes_back:
            try:
                self.go_back(why)
            except ChangeRefused as problem:
                log.error("the engine before is not active again: a person has to do it", problem=str(problem))
            else:
                return
        if why.startswith(FAILED):
            self._post(Warn(WarningCode.PROBATION_FAILED, True))
        self.ended(why)

    @property
    def status(self) -> dict[str, Any] | None:
        """For people; None: nothing is on probation."""
        terms, found = self._terms, self._due
        if terms is None or found is None:
            return None
        active, before = terms.evidence(self._sums)
        return {
            "before": found.before.name,
            "parts": self._sums.parts,
            "of": terms.parts,
            "rejected": self._sums.rejected,
            "rejected_before": self._sums.rejected_before,
            "agreed_share": terms.agreed_share,
            "evidence": active,
            "evidence_before": before,
            "evidence_more": self._sums.evidence,
            "finding": self._finding.value,
            "goes_back": self._goes_back,
        }
