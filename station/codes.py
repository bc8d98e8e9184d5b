"""Reason, error, warning and offline codes with their texts: the one table for code, HMI and documentation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class ReasonCode(IntEnum):
    """Why a part got its verdict (register ReasonCode)."""

    NONE = 0
    SCORE_ABOVE_LIMIT = 10
    SCORE_IN_REVIEW_BAND = 11
    REGION_AREA = 12
    REGION_LENGTH = 13
    REGION_COUNT = 14
    TOO_DARK = 20
    TOO_BRIGHT = 21
    OUT_OF_FOCUS = 22
    WRONG_SIZE = 23
    PART_NOT_LOCATED = 24
    LIGHT_NOT_AS_TAUGHT = 25
    SHARPNESS_NOT_AS_TAUGHT = 26
    PLACE_NOT_AS_TAUGHT = 27
    HEIGHTS_MISSING = 28
    NO_FRAME = 30
    INCOMPLETE_FRAME = 31
    LOST_FRAME = 32
    CAMERA_DOWN = 33
    FRAME_RING_FULL = 34
    VIEW_MISSING = 35
    VIEW_AMBIGUOUS = 36
    NO_HEIGHT = 37
    ENGINE_RAISED = 40
    SCORE_NOT_FINITE = 41
    DEADLINE = 42
    OVERLOAD = 43
    NO_ENGINE = 44
    TEACHING = 45
    DEVICE_FAILED = 46
    RESULT_OVERRUN = 50
    NOT_READY = 51
    RESTARTED = 52
    STOPPED = 53
    OFFLINE = 54
    PLC_LOST = 55
    HANDSHAKE_RESET = 56
    NO_VERDICT = 60
    PARTS_TOO_CLOSE = 61
    CHALLENGE_PART_PASSED = 70


class ErrorCode(IntEnum):
    """Why the station is in the state Error (register ErrorCode)."""

    NONE = 0
    ERRORS_IN_A_ROW = 1
    CAMERA_FAILED = 2
    ENGINE_FAILED = 3
    STAGE_FAILED = 4
    ENGINE_HANGS = 5
    DEVICE_FAILED = 6
    PLAN_UNUSABLE = 7
    REJECT_NOT_CONFIRMED = 10
    UNEXPECTED_PART = 11
    DOUBLE_PART = 12
    LOST_PART = 13
    BIN_FULL = 14
    PART_PASSED_EJECTOR = 15
    PART_NOT_PLACED = 16
    ENCODER_FAILED = 17
    EJECTOR_FAILED = 18
    BELT_NOT_EMPTY = 19


class WarningCode(IntEnum):
    """What is degraded while the line goes on (register WarningCode)."""

    NONE = 0
    PLC_HEARTBEAT_FROZEN = 1
    CAMERA_DOWN = 2
    DISK_FULL = 3
    RECORDS_DELAYED = 4
    LATE_RESULT = 5
    WRITER_REFUSED = 6
    RECIPE_NOT_KNOWN = 7
    CHALLENGE_OVERDUE = 8
    CHALLENGE_FAILED = 9
    GPU_SLOWED_DOWN = 10
    RECORDS_LOST = 11
    LIGHT_CHANGED = 12
    SHARPNESS_LOST = 13
    POSITION_CHANGED = 14
    PARTS_NOT_INSPECTED = 15
    PRODUCT_CHANGED = 16
    REJECTS_ABOVE_PROMISE = 17
    REJECTS_IN_A_ROW = 18
    SAME_PLACE = 19
    NOT_WATCHED = 20
    STATION_CHANGED = 21
    MASTER_PART_CHANGED = 22
    ENGINE_DISAGREES = 23
    KIND_RISES = 24
    NEW_KIND = 25
    VIRTUAL_CHALLENGE_WORSE = 26
    WEARS_OUT = 27
    SHADOW_OFF = 31
    PROBATION_FAILED = 32


class OfflineReason(IntEnum):
    """Why the station takes no part (register OfflineReason)."""

    NONE = 0
    STARTING = 1
    BY_PLC = 2
    BY_OPERATOR = 3
    NO_ENGINE = 4
    CAMERA_DOWN = 5
    FAULT = 6
    CHANGING_ENGINE = 7
    STOPPING = 8
    CHANGING_RECIPE = 9
    CHALLENGE_OVERDUE = 10
    CHALLENGE_FAILED = 11
    BUILDING_PLAN = 12


@dataclass(frozen=True, slots=True)
class CodeText:
    """What a code means and what a person does about it."""

    text: str
    action: str = ""


REASONS: dict[ReasonCode, CodeText] = {
    ReasonCode.NONE: CodeText("no reason to reject"),
    ReasonCode.SCORE_ABOVE_LIMIT: CodeText("anomaly score above the reject limit", "look at the marked regions"),
    ReasonCode.SCORE_IN_REVIEW_BAND: CodeText("anomaly score between review and reject limit", "decide by eye"),
    ReasonCode.REGION_AREA: CodeText("defect area above its limit", "look at the marked regions"),
    ReasonCode.REGION_LENGTH: CodeText("defect length above its limit", "look at the marked regions"),
    ReasonCode.REGION_COUNT: CodeText("more defect regions than allowed", "look at the marked regions"),
    ReasonCode.TOO_DARK: CodeText("image too dark", "check lighting and exposure time"),
    ReasonCode.TOO_BRIGHT: CodeText("image too bright", "check lighting and exposure time"),
    ReasonCode.OUT_OF_FOCUS: CodeText("image out of focus", "check lens, working distance and vibration"),
    ReasonCode.WRONG_SIZE: CodeText(
        "frame of another size or pixel format than the camera was set to", "check the camera settings"
    ),
    ReasonCode.PART_NOT_LOCATED: CodeText(
        "the part was not found in the image, so it was not scored", "look at the image: part, position, background"
    ),
    ReasonCode.LIGHT_NOT_AS_TAUGHT: CodeText(
        "lamp: the picture is darker or brighter than those the engine was taught with",
        "check lamp, exposure and stray light; as intended? teach or refresh the engine",
    ),
    ReasonCode.SHARPNESS_NOT_AS_TAUGHT: CodeText(
        "lens: the picture is less sharp than those the engine was taught with",
        "clean the lens, check focus and vibration",
    ),
    ReasonCode.PLACE_NOT_AS_TAUGHT: CodeText(
        "position: the part lies elsewhere, or is of another size, than in the pictures the engine was taught with",
        "check the trigger's place, guides and camera mount",
    ),
    ReasonCode.HEIGHTS_MISSING: CodeText(
        "heights: more pixels have none than may be left out",
        "look at the image: shine, shadow, steep places; check exposure and angle of the 3-D camera",
    ),
    ReasonCode.NO_FRAME: CodeText("no frame came for the trigger", "check trigger wiring and camera"),
    ReasonCode.INCOMPLETE_FRAME: CodeText(
        "the camera delivered an incomplete frame", "check network, cable and packet size"
    ),
    ReasonCode.LOST_FRAME: CodeText("the camera skipped a frame", "check trigger rate and bandwidth"),
    ReasonCode.CAMERA_DOWN: CodeText("the camera was not streaming", "check power and cable of the camera"),
    ReasonCode.FRAME_RING_FULL: CodeText(
        "frames came faster than they were taken", "lower the rate or use a faster engine"
    ),
    ReasonCode.VIEW_MISSING: CodeText(
        "a view of the part did not come", "check trigger, cable and position of the camera that is named"
    ),
    ReasonCode.VIEW_AMBIGUOUS: CodeText(
        "a frame fits two parts, or two frames fit one part",
        "keep parts further apart, or lower tolerance_ms or tolerance_counts of the camera",
    ),
    ReasonCode.NO_HEIGHT: CodeText(
        "not one pixel of the frame has a height", "check lens cap, projector or laser, exposure and working distance"
    ),
    ReasonCode.ENGINE_RAISED: CodeText("the engine failed on this frame", "see the log; swap the engine"),
    ReasonCode.SCORE_NOT_FINITE: CodeText("the engine returned a score that is not a number", "swap the engine"),
    ReasonCode.DEADLINE: CodeText("no result within the deadline", "check load and engine, or allow more time"),
    ReasonCode.OVERLOAD: CodeText("too many parts in flight", "lower the rate or use a faster engine"),
    ReasonCode.NO_ENGINE: CodeText("no engine is loaded", "activate an engine of the store, or teach one"),
    ReasonCode.TEACHING: CodeText("the part was taken for teaching, not inspected", "sort the part by hand"),
    ReasonCode.DEVICE_FAILED: CodeText("the GPU failed on this part", "see the log: memory, driver, heat, power"),
    ReasonCode.RESULT_OVERRUN: CodeText("result buffer full: the PLC does not acknowledge", "check the PLC program"),
    ReasonCode.NOT_READY: CodeText("triggered while the station was not ready", "the PLC must wait for TriggerReady"),
    ReasonCode.RESTARTED: CodeText("the station was restarted before the part had a result", "sort the part by hand"),
    ReasonCode.STOPPED: CodeText("the station was stopped before the part had a result", "sort the part by hand"),
    ReasonCode.OFFLINE: CodeText("the station went offline before the part had a result", "sort the part by hand"),
    ReasonCode.PLC_LOST: CodeText("the PLC's heartbeat stood still when the result came", "sort the part by hand"),
    ReasonCode.HANDSHAKE_RESET: CodeText("the PLC reset the handshake before the result came", "sort the part by hand"),
    ReasonCode.NO_VERDICT: CodeText(
        "the part came to the ejector before it had a verdict", "allow more way to the ejector or use a faster engine"
    ),
    ReasonCode.PARTS_TOO_CLOSE: CodeText(
        "two parts closer than the window of the ejector: both are rejected", "check the singling of the parts"
    ),
    ReasonCode.CHALLENGE_PART_PASSED: CodeText(
        "a master part passed that a challenge test does not expect to pass", "keep the part; see station challenge"
    ),
}

ERRORS: dict[ErrorCode, CodeText] = {
    ErrorCode.NONE: CodeText("no error"),
    ErrorCode.ERRORS_IN_A_ROW: CodeText(
        "several parts in a row were not inspected", "read the reasons, fix the cause, then ClearError"
    ),
    ErrorCode.CAMERA_FAILED: CodeText("the camera cannot be used as configured", "see the log; station check"),
    ErrorCode.ENGINE_FAILED: CodeText("the engine cannot be loaded", "see the log; station check"),
    ErrorCode.STAGE_FAILED: CodeText("a stage of the station stopped; it restarts", "see the log"),
    ErrorCode.ENGINE_HANGS: CodeText("the engine does not respond; the station restarts", "see the log"),
    ErrorCode.DEVICE_FAILED: CodeText("the GPU failed; the station restarts", "see the log; nvidia-smi; dmesg (Xid)"),
    ErrorCode.PLAN_UNUSABLE: CodeText(
        "the engine has no TensorRT plan that may be used on this GPU",
        "station engine build, station reload, then ClearError",
    ),
    ErrorCode.REJECT_NOT_CONFIRMED: CodeText(
        "a rejected part did not come into its bin", "find the part, check ejector and sensor, then ClearError"
    ),
    ErrorCode.UNEXPECTED_PART: CodeText(
        "a part came into a bin and was not rejected", "sort the bin by hand, check the ejector, then ClearError"
    ),
    ErrorCode.DOUBLE_PART: CodeText(
        "a part came to the ejector that the camera has not seen", "take it off, check the singling, then ClearError"
    ),
    ErrorCode.LOST_PART: CodeText(
        "a part did not come to the ejector", "was it taken off by hand? check the sensor, then ClearError"
    ),
    ErrorCode.BIN_FULL: CodeText("a reject bin is full", "empty it, then ClearError"),
    ErrorCode.PART_PASSED_EJECTOR: CodeText(
        "a part to be rejected has passed the ejector", "take it off by hand, then ClearError"
    ),
    ErrorCode.PART_NOT_PLACED: CodeText(
        "a part to be rejected is on the belt, nobody knows where", "clear the belt, check the trigger, then ClearError"
    ),
    ErrorCode.ENCODER_FAILED: CodeText(
        "the encoder does not show where the parts are", "clear the belt, check the encoder, then ClearError"
    ),
    ErrorCode.EJECTOR_FAILED: CodeText(
        "the output of an ejector cannot be set", "clear the belt, check the camera, then ClearError"
    ),
    ErrorCode.BELT_NOT_EMPTY: CodeText(
        "the station ended with parts between camera and ejector", "clear the belt, then ClearError"
    ),
}

WARNINGS: dict[WarningCode, CodeText] = {
    WarningCode.NONE: CodeText("no warning"),
    WarningCode.PLC_HEARTBEAT_FROZEN: CodeText("the PLC's heartbeat stands still", "check the PLC and its network"),
    WarningCode.CAMERA_DOWN: CodeText("the camera is gone; reconnecting", "check power and cable of the camera"),
    WarningCode.DISK_FULL: CodeText(
        "the disk is full: images are not stored", "free disk space or lower the image budget"
    ),
    WarningCode.RECORDS_DELAYED: CodeText("records wait for the disk", "check the disk"),
    WarningCode.LATE_RESULT: CodeText("a result came after its deadline", "check load and engine"),
    WarningCode.WRITER_REFUSED: CodeText("a second client tried to write and was refused", "only one PLC may write"),
    WarningCode.RECIPE_NOT_KNOWN: CodeText(
        "the recipe that was selected last is not known; the start recipe is active", "select the recipe"
    ),
    WarningCode.CHALLENGE_OVERDUE: CodeText("a challenge test is overdue", "station challenge start, or command 6"),
    WarningCode.CHALLENGE_FAILED: CodeText(
        "a challenge test failed", "find out why; then maintenance: station challenge reset --who NAME"
    ),
    WarningCode.RECORDS_LOST: CodeText(
        "records were lost: too many waited for the disk, or records.db was removed", "check the disk, then ClearError"
    ),
    WarningCode.LIGHT_CHANGED: CodeText(
        "the pictures are brighter or darker than those learned", "check lamp, exposure and stray light"
    ),
    WarningCode.SHARPNESS_LOST: CodeText(
        "the pictures are less sharp than those learned", "clean the lens, check focus and vibration"
    ),
    WarningCode.POSITION_CHANGED: CodeText(
        "parts lie elsewhere in the picture than those learned", "check the trigger's place, guides and camera mount"
    ),
    WarningCode.PARTS_NOT_INSPECTED: CodeText(
        "more parts than normal are not inspected", "check trigger, guides and load: station counts --by reason"
    ),
    WarningCode.PRODUCT_CHANGED: CodeText(
        "good parts look different, light and sharpness being as before",
        "compare with earlier parts: a new batch, texture or colour? Then refresh the engine",
    ),
    WarningCode.REJECTS_ABOVE_PROMISE: CodeText(
        "more parts are rejected or in review than promised and agreed",
        "look at the last rejects: real defects, or an engine to refresh?",
    ),
    WarningCode.REJECTS_IN_A_ROW: CodeText("rejects in a row", "look at the process before the station"),
    WarningCode.SAME_PLACE: CodeText(
        "defects at one place of the picture again and again", "look for dirt on the lens, or a worn tool or gripper"
    ),
    WarningCode.NOT_WATCHED: CodeText("nothing watches for drift", "restart the station; the log says what failed"),
    WarningCode.SHADOW_OFF: CodeText(
        "the engine in the shadow failed and is switched off",
        "see station status; the line is not affected; put it back with station engine shadow",
    ),
    WarningCode.PROBATION_FAILED: CodeText(
        "the engine on probation failed: it rejects more than agreed, misjudges a master part, or does not judge",
        "look at the parts on the page of the engine, then go back: station engine rollback",
    ),
    WarningCode.STATION_CHANGED: CodeText(
        "master parts score otherwise than they did, so the station has changed and not the product",
        "check lens, lamp, camera settings and engine; then station monitoring learn --why TEXT",
    ),
    WarningCode.MASTER_PART_CHANGED: CodeText(
        "one master part scores otherwise than it did, the others as ever",
        "clean it, look for wear, or replace it",
    ),
    WarningCode.ENGINE_DISAGREES: CodeText(
        "people disagree with the engine more often than promised and agreed",
        "look at what they labelled, then refresh the engine with these labels",
    ),
    WarningCode.KIND_RISES: CodeText(
        "one kind of defect comes more often than it did", "look at the step of the process that makes it"
    ),
    WarningCode.NEW_KIND: CodeText(
        "defects come that look like no kind that the engine knows",
        "look at them, name the kind in Review, then refresh the engine",
    ),
    WarningCode.VIRTUAL_CHALLENGE_WORSE: CodeText(
        "the station finds fewer of the synthetic defects than when the engine was taught",
        "check focus, lens and lamp, then station challenge virtual",
    ),
    WarningCode.WEARS_OUT: CodeText(
        "something wears out and reaches its limit within weeks",
        "see Health or Trends, or station trends: what, when, and what to do until then",
    ),
    WarningCode.GPU_SLOWED_DOWN: CodeText("the GPU is slowed down by heat or power", "check its fan, air and power"),
}

DRIFT_WARNINGS = frozenset(
    {
        WarningCode.LIGHT_CHANGED,
        WarningCode.SHARPNESS_LOST,
        WarningCode.POSITION_CHANGED,
        WarningCode.PRODUCT_CHANGED,
        WarningCode.STATION_CHANGED,
    }
)
"""For these the PLC bit Drift stands: what the station sees has changed. More rejects are an alarm of their own."""

LINE_STOPS = frozenset(
    {
        ErrorCode.STAGE_FAILED,
        ErrorCode.ENGINE_HANGS,
        ErrorCode.DEVICE_FAILED,
        ErrorCode.REJECT_NOT_CONFIRMED,
        ErrorCode.UNEXPECTED_PART,
        ErrorCode.DOUBLE_PART,
        ErrorCode.LOST_PART,
        ErrorCode.BIN_FULL,
        ErrorCode.PART_PASSED_EJECTOR,
        ErrorCode.PART_NOT_PLACED,
        ErrorCode.ENCODER_FAILED,
        ErrorCode.EJECTOR_FAILED,
        ErrorCode.BELT_NOT_EMPTY,
    }
)
"""Errors with which the line must stand where the station pushes parts off itself."""

OFFLINE_REASONS: dict[OfflineReason, CodeText] = {
    OfflineReason.NONE: CodeText("online"),
    OfflineReason.STARTING: CodeText("starting"),
    OfflineReason.BY_PLC: CodeText("set offline by the PLC", "clear SetOffline or send command 2"),
    OfflineReason.BY_OPERATOR: CodeText("set offline by a person", "station online"),
    OfflineReason.NO_ENGINE: CodeText("no engine is loaded", "station engine activate one of the store, or teach one"),
    OfflineReason.CAMERA_DOWN: CodeText("the camera is not streaming", "check power and cable of the camera"),
    OfflineReason.FAULT: CodeText("a fault stands", "read ErrorCode, fix the cause, then ClearError"),
    OfflineReason.CHANGING_ENGINE: CodeText("an engine is being loaded or taught", "wait"),
    OfflineReason.STOPPING: CodeText("the station is stopping"),
    OfflineReason.CHANGING_RECIPE: CodeText("another recipe is being loaded", "wait"),
    OfflineReason.CHALLENGE_OVERDUE: CodeText("a challenge test is overdue", "station challenge start, or command 6"),
    OfflineReason.CHALLENGE_FAILED: CodeText(
        "a challenge test failed", "find out why; then maintenance: station challenge reset --who NAME"
    ),
    OfflineReason.BUILDING_PLAN: CodeText(
        "the plan of the engine is being built for this GPU", "wait some minutes; station status shows how far it is"
    ),
}
