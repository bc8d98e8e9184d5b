"""A station's recording side to be killed: recovers what an earlier one left, then records parts without end.

    python -m tests.line.recording.kill_victim DIRECTORY SESSION [--recover-only]

Writes the number of every part to standard output before it opens it.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import structlog

from station.line.recording.journal import Journal
from station.line.recording.stage import Recorder, RecorderSettings
from station.results import Verdict
from tests.bench.sample_parts import PartMaker


def main(directory: Path, session: str, *, recover_only: bool) -> None:
    with Journal(directory / "journal.bin", session) as journal:
        recorder = Recorder(RecorderSettings(directory, min_free_mb=0), session, on_committed=journal.commit)
        recorder.start()
        for part in journal.recover():
            recorder.record_recovered(part)
        if recover_only:
            assert recorder.stop(60)
            return
        maker = PartMaker(session)
        number = 0
        while True:
            number += 1
            record = maker.inspected(number, list(Verdict)[number % 4])
            os.write(sys.stdout.fileno(), f"{number}\n".encode())
            if not journal.open_part(record.part):
                raise RuntimeError("journal full")
            journal.decide_part(number, record.decision.verdict, record.decision.code)
            recorder.record(record)
            while recorder.health.waiting > 200:
                recorder.flush(60)


if __name__ == "__main__":
    # Standard output is for the numbers; structlog would write there too.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    main(Path(sys.argv[1]), sys.argv[2], recover_only="--recover-only" in sys.argv)
