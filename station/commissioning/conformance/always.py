"""What must hold in every scan, whatever rule is being checked. Each is a rule of its own at the end of the run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from drivers.plc.protocol import PlcInputs, PlcOutputs
from station.codes import ERRORS, OFFLINE_REASONS, REASONS, WARNINGS
from station.commissioning.conformance.plc import PASS, REVIEW, U32, Plc
from station.commissioning.conformance.registry import Need, NotChecked, Violation, rule
from station.line.challenge.machine import ChallengeState
from station.line.handshake.messages import StationState

ENOUGH_SCANS = 300
LONGEST_STEP = 1000
"""AcquisitionIds from one scan to the next; more is a step back."""

Holds = Callable[[PlcInputs, PlcOutputs, PlcOutputs], str]
"""(written, before, now): what is wrong, or nothing."""


@dataclass(slots=True)
class Observation:
    """What was seen of one invariant."""

    holds: Holds
    scans: int = 0
    violation: str = ""


@dataclass(slots=True)
class Watch:
    """Observer of a PLC: keeps the first violation of each invariant."""

    seen: dict[str, Observation] = field(default_factory=lambda: {name: Observation(h) for name, h in _ALWAYS.items()})
    _before: PlcOutputs | None = None

    def __call__(self, written: PlcInputs, now: PlcOutputs, _now_s: float, /) -> None:
        before = now if self._before is None else self._before
        self._before = now
        for observation in self.seen.values():
            observation.scans += 1
            observation.violation = observation.violation or observation.holds(written, before, now)


_ALWAYS: dict[str, Holds] = {}


def always(rule_id: str, text: str, *needs: Need) -> Callable[[Holds], Holds]:
    """Registers an invariant, and the rule that reports it."""

    def register(holds: Holds) -> Holds:
        def check(plc: Plc) -> None:
            watch = next(observer for observer in plc.observers if isinstance(observer, Watch))
            observation = watch.seen[rule_id]
            if observation.scans < ENOUGH_SCANS:
                _a_short_session(plc)
            if observation.violation:
                raise Violation(observation.violation)

        _ALWAYS[rule_id] = holds
        rule(rule_id, text, *needs, plays="all PLCs of the run")(check)
        return holds

    return register


def _a_short_session(plc: Plc) -> None:
    """Something to look at when this rule is checked alone."""
    plc.scan()
    try:
        plc.begin()
        for _ in range(2):
            plc.part()
        plc.acquire()
        plc.result()
        plc.stays(lambda _: True, "", plc.times.settle_s)
        plc.reset()
    except (Violation, NotChecked):
        plc.stays(lambda _: True, "", plc.times.settle_s)


@always("always-reject-unless-pass", "Reject is 1 unless a valid pass stands; Pass and Reject are never equal.")
def _pass_or_reject(_written: PlcInputs, _before: PlcOutputs, now: PlcOutputs) -> str:
    if now.pass_ and not now.results_valid:
        return "Pass is 1 while ResultsValid is 0"
    return "" if now.pass_ != now.reject else f"Pass and Reject are both {now.reject:d}"


@always("always-pass-is-result-1", "Pass is 1 exactly when Result is 1, Review exactly when Result is 3.", Need.PART)
def _pass_is_result_1(_written: PlcInputs, _before: PlcOutputs, now: PlcOutputs) -> str:
    if now.pass_ != (now.result == PASS):
        return f"Pass is {now.pass_:d} with Result {now.result}"
    return "" if now.review == (now.result == REVIEW) else f"Review is {now.review:d} with Result {now.result}"


@always(
    "always-result-with-valid", "Result is 0 exactly when ResultsValid is 0; PartId and InspectionId are 0 with it."
)
def _result_with_valid(_written: PlcInputs, _before: PlcOutputs, now: PlcOutputs) -> str:
    if now.results_valid != (now.result != 0):
        return f"ResultsValid is {now.results_valid:d} with Result {now.result}"
    if not now.results_valid and (now.inspection_id or now.part_id_echo):
        return f"no result stands, but InspectionId is {now.inspection_id} and PartId {now.part_id_echo}"
    return ""


@always("always-ready-means-ready", "TriggerReady is 1 only with Online 1, Fault 0 and OfflineReason 0.")
def _ready_means_ready(_written: PlcInputs, _before: PlcOutputs, now: PlcOutputs) -> str:
    if not now.trigger_ready or (now.online and not now.fault and now.offline_reason == 0):
        return ""
    return f"TriggerReady is 1 with Online {now.online:d}, Fault {now.fault:d}, OfflineReason {now.offline_reason}"


@always("always-bits-agree-with-codes", "Fault is 1 exactly with an ErrorCode or state 3, Warning with a WarningCode.")
def _bits_agree(_written: PlcInputs, _before: PlcOutputs, now: PlcOutputs) -> str:
    if now.fault != (now.error_code != 0 or now.state == StationState.ERROR):
        return f"Fault is {now.fault:d} with ErrorCode {now.error_code} and State {now.state}"
    if now.warning != (now.warning_code != 0):
        return f"Warning is {now.warning:d} with WarningCode {now.warning_code}"
    return "" if now.online or now.offline_reason else "Online is 0 with OfflineReason 0"


@always("always-changing-is-not-ready", "TriggerReady is 0 while RecipeChanging is 1.")
def _changing_is_not_ready(_written: PlcInputs, _before: PlcOutputs, now: PlcOutputs) -> str:
    return "TriggerReady and RecipeChanging are both 1" if now.recipe_changing and now.trigger_ready else ""


@always("always-ejectors-twice", "Bits 0 to 3 of the register Ejectors are Ejector1 to Ejector4.")
def _ejectors_twice(_written: PlcInputs, _before: PlcOutputs, now: PlcOutputs) -> str:
    bits = (now.ejector1, now.ejector2, now.ejector3, now.ejector4)
    if now.ejectors == sum(bit << place for place, bit in enumerate(bits)):
        return ""
    return f"Ejectors is {now.ejectors}, Ejector1 to Ejector4 are {', '.join(f'{bit:d}' for bit in bits)}"


@always("always-line-stop-has-a-cause", "LineStop is 1 only with an ErrorCode or an OfflineReason.")
def _line_stop_has_a_cause(_written: PlcInputs, _before: PlcOutputs, now: PlcOutputs) -> str:
    caused = now.error_code != 0 or now.offline_reason != 0
    return "" if caused or not now.line_stop else "LineStop is 1 with ErrorCode 0 and OfflineReason 0"


@always(
    "always-challenge-running",
    "ChallengeStep is 0 unless ChallengeState is 2; while no result stands, ChallengeRunning is 0 unless it is 2.",
)
def _challenge_running(_written: PlcInputs, _before: PlcOutputs, now: PlcOutputs) -> str:
    if now.challenge_state == ChallengeState.RUNNING:
        return ""
    if now.challenge_step:
        return f"ChallengeStep is {now.challenge_step} with ChallengeState {now.challenge_state}"
    if now.challenge_running and not now.results_valid:
        return f"ChallengeRunning is 1 with ChallengeState {now.challenge_state}, and no result stands"
    return ""


@always("always-known-codes", "State, OfflineReason, ErrorCode, WarningCode, Result and ReasonCode are of the tables.")
def _known_codes(_written: PlcInputs, _before: PlcOutputs, now: PlcOutputs) -> str:
    codes: tuple[tuple[str, int, Iterable[int]], ...] = (
        ("State", now.state, StationState),
        ("OfflineReason", now.offline_reason, OFFLINE_REASONS),
        ("ErrorCode", now.error_code, ERRORS),
        ("WarningCode", now.warning_code, WARNINGS),
        ("Result", now.result, range(5)),
        ("ReasonCode", now.reason_code, REASONS),
        ("ChallengeState", now.challenge_state, ChallengeState),
    )
    wrong = [f"{name} {code}" for name, code, known in codes if code not in set(known)]
    return f"not in the tables: {', '.join(wrong)}" if wrong else ""


@always("always-scores-in-range", "Score and Threshold are numbers from 0 to 1.", Need.PART)
def _scores_in_range(_written: PlcInputs, _before: PlcOutputs, now: PlcOutputs) -> str:
    values = {"Score": now.score, "Threshold": now.threshold}
    wrong = [f"{name} {value:g}" for name, value in values.items() if not 0.0 <= value <= 1.0]
    return ", ".join(wrong)


@always("always-one-command-bit", "At most one of Executing, CommandCompleted and CommandFailed is 1.")
def _one_command_bit(_written: PlcInputs, _before: PlcOutputs, now: PlcOutputs) -> str:
    ones = now.executing + now.command_completed + now.command_failed
    return "" if ones <= 1 else f"{ones} of Executing, CommandCompleted and CommandFailed are 1"


@always("always-ids-go-on", "AcquisitionId never goes back.", Need.PART)
def _ids_go_on(_written: PlcInputs, before: PlcOutputs, now: PlcOutputs) -> str:
    step = (now.acquisition_id - before.acquisition_id) % U32
    return f"from {before.acquisition_id} to {now.acquisition_id}" if step > LONGEST_STEP else ""


@always(
    "always-counters-balance",
    "When no part is in flight, CountTriggers is the sum of CountPass, CountFail, CountReview and CountError.",
    Need.PART,
)
def _counters_balance(_written: PlcInputs, _before: PlcOutputs, now: PlcOutputs) -> str:
    judged = now.count_pass + now.count_fail + now.count_review + now.count_error
    if now.busy or judged == now.count_triggers:
        return ""
    return f"CountTriggers is {now.count_triggers}, the sum of the verdicts {judged}"
