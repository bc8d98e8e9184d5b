"""Decisions and limits for the tests of the ledger."""

from __future__ import annotations

from station.codes import ReasonCode
from station.line.signalling.ledger import LedgerSettings
from station.results import Decision, Reason, Verdict

MS = 1_000_000
PASS = Decision(Verdict.PASS)
FAIL = Decision(Verdict.FAIL, (Reason(ReasonCode.SCORE_ABOVE_LIMIT),))
LIMITS = LedgerSettings(deadline_ms=500, no_frame_ms=1000, max_parts_in_flight=8, errors_in_a_row_to_fault=3)
