"""The recording stage: one thread that writes rows, images and events; no other thread waits for it.

    record() ──► inbox ──► [image to disk] ──► pending rows ──► one transaction per 100 ms ──► on_committed

What happens when the disk does not keep up or fails, in this order:

* images that wait hold more than `waiting_images_mb`, or there are `queue_size` of them: further parts give up their
  image, the row says so (`image_skipped`);
* an image cannot be written (disk full): it is skipped, the row says so, Warning DISK_FULL;
* the database cannot be written: rows wait in memory and are tried again, Warning RECORDS_DELAYED (DISK_FULL when
  that is the cause);
* the disk does not answer at all: nothing fails, the oldest row gets old, Warning RECORDS_DELAYED after `delayed_s`;
* more than `waiting_rows` wait: further rows are lost, which is logged as ERROR, counted in `health` (Warning
  RECORDS_LOST) and, once the database is back, entered as an event. The journal still holds verdicts and brings them
  back at the next start;
* the file is removed or replaced while the station runs: the next transaction notices, before it writes into nowhere,
  and goes to what is there now or to a new file. What the old one held has gone with it: Warning RECORDS_LOST.

All of it ends by itself when the disk is back.
"""

from __future__ import annotations

import errno
import json
import math
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import structlog

from station import noted
from station.codes import WarningCode
from station.line.recording.batches import Batches
from station.line.recording.image_store import ImageStore
from station.line.recording.journal import PartKey, UnfinishedPart
from station.line.recording.log import log_part
from station.line.recording.messages import (
    Acknowledged,
    Flush,
    Message,
    PartToStore,
    PictureToStore,
    RecorderHealth,
    Row,
    SessionKilled,
    Stop,
    identified,
    recovered,
)
from station.line.recording.repeats import Repeats
from station.line.recording.row_retention import RowRetention
from station.line.recording.statements import statement_of
from station.line.recording.waiting_images import WaitingImages
from station.line.recording.waiting_rows import WaitingRows
from station.line.recording.writer import RecordWriter
from station.records.audit import AuditEntry, AuditRow
from station.records.challenges import ChallengeRow
from station.records.configurations import KeptFile
from station.records.ejections import Ejection
from station.records.engines.shadows import ShadowRow, ShadowRun
from station.records.events import MISSED, EventRow, insert_event
from station.records.parts import image_deleted, insert_part, part_row, pictures_of_part
from station.records.schema import DATABASE_FILE, RecordingError
from station.records.sessions import session_ended, session_started
from station.records.statement import Statement
from station.results import InspectionRecord

log = structlog.get_logger()

IDLE_INTERVAL_S = 0.5
COMMIT_INTERVAL_S = 0.1
ROWS_PER_COMMIT = 500
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, slots=True)
class RecorderSettings:
    """Where and how much is recorded; see the configuration of the same names."""

    directory: Path
    pass_image_share: float = 0.02
    disk_budget_mb: int = 10_000
    min_free_mb: int = 500
    keep_rows_days: int = 730
    rows_budget_mb: int = 20_000
    keep_unsent_days: int | None = None
    """None: nothing is sent to the plant."""
    queue_size: int = 256
    """Parts that may wait with their images."""
    waiting_images_mb: int = 512
    """Memory that waiting images may hold."""
    waiting_rows: int = 10_000
    """Rows that may wait for the database."""
    delayed_s: float = 5.0
    """Age of the oldest row from which on the disk is said to be late."""


OnCommitted = Callable[[Sequence[PartKey]], None]


class Recorder:
    """Owns the records and the thread that writes them. Other threads give it rows, which it takes within microseconds;
    it never holds up the line. `start`, then rows, then `stop`.
    """

    def __init__(self, settings: RecorderSettings, session: str, *, on_committed: OnCommitted | None = None) -> None:
        """`on_committed` is called on the recording thread with the parts that are in the database for good."""
        self._settings = settings
        self._session = session
        self._on_committed = on_committed
        self._images = ImageStore(
            settings.directory, budget_mb=settings.disk_budget_mb, min_free_mb=settings.min_free_mb
        )
        self._thread = threading.Thread(target=self._run, name="recording")
        self._inbox: WaitingRows[Message] = WaitingRows()
        self._stopping = False
        self._stop_at = 0.0
        self._images_until = math.inf
        self._waiting_images = WaitingImages(
            pass_image_share=settings.pass_image_share,
            queue_size=settings.queue_size,
            waiting_images_mb=settings.waiting_images_mb,
        )
        self._repeats = Repeats()
        self.batches = Batches(settings.directory, self._offer)
        self._rows = RowRetention(
            settings.directory,
            session,
            keep_days=settings.keep_rows_days,
            budget_mb=settings.rows_budget_mb,
            keep_unsent_days=settings.keep_unsent_days,
            remove_images=self._images.remove,
        )
        self._lost = 0
        self._lost_why = ""
        # From here on: the recording thread's own, only read by the others.
        self._writer = RecordWriter(settings.directory / DATABASE_FILE, session_started(session, time.time()))
        self._pending: list[Statement] = []
        self._flushes: list[Flush] = []
        self._lost_reported = 0
        self._replaced_reported = 0

    # -- called by the other threads ------------------------------------------------------------------------------

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def health(self) -> RecorderHealth:
        troubles = [text for text in (self._writer.trouble, self._images.trouble) if text]
        oldest_s = self._inbox.oldest_s
        is_late = oldest_s > self._settings.delayed_s
        if is_late:
            troubles.insert(0, f"the oldest record has waited for the disk for {oldest_s:.0f} s")
        if self._thread.ident is not None and not self._thread.is_alive() and not self._stopping:
            troubles.insert(0, "the recording thread has ended")
        warning = WarningCode.NONE
        if troubles:
            full = self._writer.is_full or not (self._writer.trouble or is_late)
            warning = WarningCode.DISK_FULL if full else WarningCode.RECORDS_DELAYED
        lost = self._lost + self._writer.refused
        replaced = self._writer.replaced
        return RecorderHealth(not troubles, warning, self._waiting(), oldest_s, lost, replaced, "; ".join(troubles))

    def start(self) -> None:
        """Opens the records and starts the thread. A full disk is no error here: records wait then.

        Raises:
            RecordingError: the folder cannot be written, or the database is damaged or of a newer version.
        """
        folder = self._settings.directory
        try:
            self._images.make_folder()
        except OSError as problem:
            if problem.errno not in _DISK_FULL:
                raise RecordingError(f'records "{folder}" cannot be made: {problem.strerror}') from problem
        if folder.exists() and not os.access(folder, os.W_OK):
            raise RecordingError(f'records "{folder}" cannot be written: no permission, or a read-only medium')
        self._writer.open()
        self.batches.remember()
        self._thread.start()

    def journal_is_new(self) -> None:
        """There was no journal at the start: says of a session that has not ended what may be missing of it."""
        for session in self._writer.unended:
            self.event("power_cut", "warning", noted.POWER_CUT(session=session))

    def record(self, record: InspectionRecord) -> None:
        """Takes a part; returns within microseconds whatever the disk does. Called by one thread."""
        self._offer(PartToStore(self._waiting_images.admit(record)))

    def record_recovered(self, part: UnfinishedPart, *, engine_id: str = "", recipe: str = "") -> None:
        """Enters a part that an earlier process left in the journal, unless it is on record already."""
        self._inbox.put(SessionKilled(part.session))
        self._offer(recovered(part, engine_id, recipe))

    def event(self, kind: str, level: str, detail: str = "", wall_time: float | None = None) -> None:
        """Takes an event; a missed trigger is one of kind `missed`. Any thread. Of a kind that never stops some are
        left out, and counted in an event of their own; never missed triggers.
        """
        if kind == MISSED or self._repeats.keeps(kind):
            self._offer(self._event(kind, level, detail, wall_time))

    def acknowledged(self, acquisition_id: int, after_trigger_ms: float) -> None:
        """The PLC has read the result of a part that was recorded before. Any thread."""
        self._offer(Acknowledged(acquisition_id, after_trigger_ms))

    def audit(self, entry: AuditEntry) -> None:
        """Takes an entry for the audit log. Any thread."""
        self._offer(AuditRow(time.time(), **asdict(entry)))

    def keep(self, file: KeptFile) -> None:
        """Takes a configuration or recipe that has become active. Any thread."""
        self._offer(file)

    def ejection(self, ejection: Ejection) -> None:
        """Takes a part that was pushed off. Any thread."""
        self._offer(ejection)

    def challenge(self, row: ChallengeRow) -> None:
        """Takes a challenge test as it is now. Any thread."""
        self._offer(row)

    def shadow(self, row: ShadowRun | ShadowRow) -> None:
        """Takes a run of an engine in the shadow as it is now, or what it said of a part. Any thread."""
        self._offer(row)

    def picture(self, record: InspectionRecord) -> None:
        """Stores the pictures of a part that was recorded before, where it has none. The caller bounds how many wait.
        Any thread.
        """
        self._offer(PictureToStore(record))

    def flush(self, timeout_s: float) -> bool:
        """Waits until everything recorded so far is in the database; False when it is not in time."""
        flush = Flush()
        self._inbox.put(flush)
        return flush.done.wait(timeout_s)

    def stop(self, timeout_s: float) -> bool:
        """Writes what waits, in order, and ends the thread. False when not all could be written in `timeout_s`.

        Images are given up after half of that time, so that all rows get written. May be called again.
        """
        if self._thread.ident is None:
            return True
        if not self._stopping:
            self._images_until = time.monotonic() + timeout_s / 2
            self._stop_at = time.monotonic() + timeout_s
            self._stopping = True
            self._inbox.put(Stop())
        self._thread.join(timeout_s + 2 * COMMIT_INTERVAL_S)
        return not self._thread.is_alive() and self._waiting() == 0

    def _waiting(self) -> int:
        return len(self._inbox) + len(self._pending)

    def _offer(self, row: Row) -> None:
        if not self._stopping and self._waiting() < self._settings.waiting_rows:
            self._inbox.put(row)
            return
        self._lost += 1
        self._lost_why = "recording has stopped" if self._stopping else "too many waited for the disk"
        log.error("record lost", why=self._lost_why, lost=self._lost, **identified(row))

    def _event(self, kind: str, level: str, detail: str, wall_time: float | None = None) -> EventRow:
        return EventRow(self._session, time.time() if wall_time is None else wall_time, kind, level, detail)

    # -- the recording thread --------------------------------------------------------------------------------------

    def _run(self) -> None:
        self._take_stock()
        stop = False
        while not (stop and (not self._pending or time.monotonic() > self._stop_at)):
            stop = self._gather() or stop
            if stop or self._writer.may_try:
                self._commit()
            self._tidy()
        if self._waiting():
            log.error("records could not be written before the end", records=self._waiting())
        self._writer.close()

    def _gather(self) -> bool:
        """Takes messages for one commit interval, which begins with the first; True after `Stop`."""
        wait_s = COMMIT_INTERVAL_S if self._pending else IDLE_INTERVAL_S
        until = 0.0
        for _ in range(ROWS_PER_COMMIT):
            try:
                message = self._inbox.take(wait_s)
            except queue.Empty:
                return False
            match message:
                case Flush():
                    self._flushes.append(message)
                case Stop():
                    self._report_repeats(at_the_end=True)
                    self._pending.append(session_ended(self._session, time.time()))
                    return True
                case _:
                    self._pending.append(self._statement(message))
            until = until or time.monotonic() + COMMIT_INTERVAL_S
            wait_s = until - time.monotonic()
            if wait_s <= 0:
                return False
        return False

    def _statement(self, row: Row) -> Statement:
        """Logs what was given, stores its images, and returns what the database is to execute."""
        match row:
            case PartToStore():
                return self._store(row)
            case PictureToStore(record):
                return pictures_of_part(self._images.store(part_row(record), record.views))
            case _:
                return statement_of(self._session, row)

    def _store(self, part: PartToStore) -> Statement:
        """Writes the images of a part and returns its rows. Images first: no row names a file that is not there."""
        admitted = part.admitted
        record = admitted.record
        row = part_row(record, recovered=part.is_recovered)
        skipped = admitted.image_skipped
        if admitted.image_bytes and time.monotonic() > self._images_until:
            skipped = "the station stopped"
        if skipped is not None:
            row = replace(row, views=tuple(replace(view, image_skipped=skipped) for view in row.views))
        elif admitted.image_bytes:
            row = self._images.store(row, record.views)
        self._waiting_images.stored(admitted)
        if not part.is_recovered:  # the clock of another process says nothing now
            recorded_ms = (time.monotonic_ns() - record.part.time_ns) / 1e6
            row = replace(row, extra=json.dumps({**json.loads(row.extra), "recorded_ms": f"{recorded_ms:.3f}"}))
        row = self.batches.stamped(row, record.part, is_recovered=part.is_recovered)
        log_part(row)
        return insert_part(row)

    def _report_repeats(self, *, at_the_end: bool = False) -> None:
        for kind, count in self._repeats.left_out(at_the_end=at_the_end):
            row = self._event(kind, "warning", noted.LEFT_OUT(count=count))
            self._pending.append(self._statement(row))

    def _tidy(self) -> None:
        if not self._pending and not self._stopping:
            self._pending += self._rows.step()
        self._pending += [self._statement(note) for note in self._rows.notes()]
        self._report_repeats()
        for path in self._images.tidy():
            self._pending.append(image_deleted(path))
        for warning in self._images.warnings():
            self._pending.append(insert_event(self._event("images_kept", "warning", warning)))
        for trouble in self._images.changes():
            kind, level = ("images_skipped", "warning") if trouble else ("images_stored", "info")
            if self._repeats.keeps(kind):
                self._pending.append(insert_event(self._event(kind, level, trouble)))

    def _take_stock(self) -> None:
        """Counts the images on disk, and corrects rows whose image is gone (killed between file and row)."""
        on_disk = self._images.take_stock()
        if self._images.trouble:
            return
        gone = (path for path in self._writer.images() if path not in on_disk)
        self._pending += [image_deleted(path) for path in gone]

    def _commit(self) -> None:
        """Writes all pending rows in one transaction; what cannot be written now stays pending."""
        committed = self._writer.write(self._pending) if self._pending or not self._writer.is_open else []
        if committed is None:
            return
        self._pending.clear()
        self._inbox.written()
        if self._lost > self._lost_reported:
            detail = noted.LOST(count=self._lost - self._lost_reported, why=self._lost_why)
            self._lost_reported = self._lost
            self._pending.append(insert_event(self._event("records_lost", "error", detail)))
        if self._writer.replaced > self._replaced_reported:
            self._replaced_reported = self._writer.replaced
            detail = noted.REPLACED(file=DATABASE_FILE)
            self._pending.append(insert_event(self._event("records_replaced", "error", detail)))
        if committed and self._on_committed is not None:
            self._on_committed(committed)
        for flush in self._flushes:
            flush.done.set()
        self._flushes.clear()
