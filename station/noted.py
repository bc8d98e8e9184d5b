"""What the station notes of itself, beside the parts: kinds of events as people read them, and their sentences.

Whoever notes an event calls a template; `engines.sentences` says how pages find it again. A sentence that is changed
here stays English in events that were noted before.
"""

from __future__ import annotations

from engines.sentences import Template

KINDS = {
    "missed": "part missed",
    "journal_full": "journal full",
    "frame_missed": "frame without a part",
    "frame_unmatched": "frame without a part",
    "frame_late": "frame came too late",
    "frame_twice": "frame fits two parts",
    "late_result": "result came too late",
    "results_withdrawn": "results withdrawn",
    "verdict_too_late": "verdict came too late",
    "parts_too_close": "parts too close",
    "parts_left_on_belt": "parts left on the belt",
    "clock_set": "clock was set",
    "camera_library": "note of the camera's library",
    "camera_connecting": "camera is connected",
    "camera_streaming": "camera streams",
    "camera_down": "camera down",
    "camera_failed": "camera failed",
    "camera_stopped": "camera stopped",
    "plc_connected": "PLC connected",
    "plc_disconnected": "PLC disconnected",
    "plc_refused": "connection refused",
    "plc_failed": "link to the PLC failed",
    "online": "on line",
    "offline": "off line",
    "warning": "warning",
    "warning_over": "warning over",
    "fault": "fault",
    "fault_cleared": "fault cleared",
    "command_refused": "command of the PLC refused",
    "control_refused": "request refused",
    "change_refused": "change refused",
    "batch_refused": "batch refused",
    "exchanged": "engine or recipe exchanged",
    "recipe_not_known": "recipe not known",
    "probation": "probation",
    "no_probation": "no probation",
    "shadow_off": "shadow ended",
    "challenge": "challenge test",
    "challenge_refused": "challenge test refused",
    "trigger_test": "trigger test",
    "monitoring_change": "something has changed",
    "monitoring_normal": "as it was learned",
    "monitoring_begins_anew": "learning begins anew",
    "monitoring_failed": "watching failed",
    "refresh_on_drift": "refresh after a drift",
    "trend": "something wears out",
    "trend_over": "trend over",
    "trends_begin_anew": "trends begin anew",
    "trends_failed": "trends failed",
    "second_person": "second person",
    "rows_deleted": "old rows deleted",
    "parts_not_sent": "parts not sent to the plant",
    "rows_over_budget": "records over their budget",
    "records_lost": "records lost",
    "records_replaced": "records replaced",
    "images_skipped": "images not stored",
    "images_stored": "images stored again",
    "images_kept": "images kept over the budget",
    "power_cut": "power cut",
}
"""By the kind as it stands on record and in the API."""
LEVELS = ("info", "warning", "error")

# Parts, frames and results

LATCHED_WITHOUT_FRAME = Template("a part id was latched while not ready, and no frame came for it")
LATCHED_WITHOUT_TRIGGER = Template("part ids were latched without a trigger")
CAMERA_TRIGGERED = Template("the camera was triggered")
PLC_TRIGGERED = Template("the PLC raised Trigger")
NOT_IN_JOURNAL = Template("acquisition %(count)s would not survive a kill")
FRAME = Template("camera frame triggered at %(count)s ns")
FRAME_OF = Template("camera %(camera)s: camera frame triggered at %(count)s ns")
LATE_RESULT = Template("acquisition %(count)s %(verdict)s came after its part had a result; not applied")
WITHDRAWN = Template("not acknowledged by the PLC, now Reject: %(counts)s")
PUSHED_BEFORE = Template("acquisition %(count)s: %(verdict)s came when the part had been pushed off")
TOO_CLOSE = Template("closer than the window, all are rejected: %(names)s")
LEFT_ON_BELT = Template("%(count)s parts were between camera and ejector when the station stopped")
CLOCK_SET = Template("the clock of this computer was set by %(step)s s")
COMMAND = Template("command %(command)s: %(why)s")

# Challenge tests and trials

PUT_ON = Template("%(name)s has put on %(count)s. %(part)s")
RESET = Template("test %(count)s reset by %(name)s")
RESET_WHY = Template("test %(count)s reset by %(name)s: %(why)s")
ENDED = Template("test %(count)s %(verdict)s")
ENDED_WHY = Template("test %(count)s %(verdict)s %(detail)s")
STARTED = Template("test %(count)s started by %(name)s, put on: %(part)s")
STEP = Template("test %(count)s: %(part)s was %(verdict)s, %(outcome)s")

# Records

ROWS_DELETED = Template("%(count)s parts, %(total)s events and %(ejections)s ejections were deleted: %(why)s")
OVER_BUDGET = Template("the rows took more than rows_budget_mb")
TOO_OLD = Template("older than keep_rows_days")
NOT_SENT = Template("%(count)s parts were deleted that were not sent to the plant: see station plant status")
ALL_KEPT = Template(
    "the rows take more than rows_budget_mb = %(count)s: all %(total)s parts have labels or are in the quarantine"
)
LEFT_OUT = Template("%(count)s more events of this kind were left out")
LOST = Template("%(count)s records were lost: %(why)s")
REPLACED = Template("%(file)s was removed or replaced while the station ran; what it held is not in this one")
POWER_CUT = Template(
    "session %(session)s ended without its journal, as in a power cut: results that the PLC was shown in its last "
    "moments may be missing on record"
)
IMAGES_NOT_STORED = Template("images are not stored: %(why)s")

# Changes

DRIFT_STANDS = Template("a drift stands: a candidate is made of the newest %(count)s parts")
MADE_AFTER_DRIFT = Template("candidate %(name)s is made after a drift: look at it")
NONE_AFTER_DRIFT = Template("no candidate after a drift: %(why)s")
TRIGGER_READY_FELL, BETWEEN_PARTS = Template("TriggerReady fell: %(why)s"), Template("between two parts")
ASKED_BY = Template("asked by %(name)s: %(detail)s")

TEMPLATES = tuple(value for value in list(globals().values()) if isinstance(value, Template))
