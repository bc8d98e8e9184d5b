"""`station plc conformance`: a station that is as it should be passes, and each broken one is caught by its rule."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyModbusTCP.server import ModbusServer

from station.commands import main as cli
from station.commissioning.conformance import run
from station.commissioning.conformance.always import Watch
from station.commissioning.conformance.links import StationAsServer
from station.commissioning.conformance.plc import Plc, Source, Times
from station.commissioning.conformance.registry import RULES
from station.commissioning.conformance.run import Finding, Verdict
from station.commissioning.plc_client import ModbusClient, Order, TcpTransport
from tests.bench.bench import Bench
from tests.bench.live_station import live_station
from tests.bench.ports import free_port
from tests.bench.waiting import wait_for
from tests.system.conformance.broken import fail_safe, results, triggers  # noqa: F401  registers the variants
from tests.system.conformance.broken.switched import VARIANTS, read

HEARTBEAT_TIMEOUT_S = 1.2
QUICK = Times(answer_s=1.0, settle_s=0.3, heartbeat_timeout_s=HEARTBEAT_TIMEOUT_S)
PATIENT = Times(answer_s=10.0, settle_s=1.0, heartbeat_timeout_s=HEARTBEAT_TIMEOUT_S)

CAUGHT = {
    "AnotherMapVersion": ("map-version", ""),
    "NoHeartbeat": ("link-heartbeat", "waited 3 s for Heartbeat to move"),
    "EveryConnectionIsAnEdge": ("link-trigger-at-connect", "made another part"),
    "ReadyWithoutEnable": ("trigger-ready-needs-enable", "after TriggerEnable 0"),
    "ReadyWhileExposing": ("trigger-ready-falls", "TriggerReady is 1 while the part is being exposed"),
    "LevelTriggered": ("trigger-edges-only", "CountTriggers"),
    "AckStays": ("trigger-ack-falls", "TriggerAck to fall with Trigger"),
    "AckBeforeAcquisitionId": ("trigger-sequence", "AcquisitionId .* expected"),
    "TriggerWithEnableIsTaken": ("trigger-with-enable", "MissedTrigger"),
    "SilentMissedTrigger": ("trigger-missed", "for MissedTrigger"),
    "MissedTriggerForgets": ("trigger-missed", "MissedTrigger fell by itself"),
    "ClearErrorByLevel": ("trigger-clear-error-edge", "MissedTrigger"),
    "ExposureCompleteFallsBack": ("trigger-exposure-complete", "ExposureComplete is 0 after the result"),
    "ResetKeepsToggle": ("trigger-reset", "InspectionCompleted"),
    "ResetKeepsResults": ("trigger-reset", "ResultsValid"),
    "ShownAfterReset": ("trigger-reset-in-flight", "all bits of the mechanism .* ResultsValid"),
    "PartIdOfThePartBefore": ("part-id-echo", "came back for"),
    "PartIdSticks": ("part-id-next-only", ""),
    "MissedTriggerKeepsPartId": ("part-id-missed", "of a missed trigger came back"),
    "PartIdByLevel": ("part-id-edge", "latched was"),
    "PartIdAckStays": ("part-id-ack", "PartIdAck"),
    "ResetKeepsPartId": ("part-id-reset", ""),
    "PassUnlessFailed": ("result-reject-without", "Reject is 0"),
    "PassAndReject": ("always-reject-unless-pass", "Pass and Reject are both 1"),
    "RegistersAfterBits": ("result-registers-first", ""),
    "StandingResultChanges": ("result-waits-for-ack", ""),
    "TogglesWithTheAck": ("result-acknowledge", "InspectionCompleted toggled"),
    "NeverToggles": ("result-toggle", "did not toggle"),
    "ResultComesAgain": ("result-one-per-part", ""),
    "ShownWhileAcknowledged": ("result-ack-held", "ResultsAck"),
    "AckTakesAll": ("result-ack-held", "for ResultsValid"),
    "AckIsRemembered": ("result-double-ack", "ResultsValid"),
    "NoReason": ("result-reason", ""),
    "LatencyOfZero": ("result-latency", "Latency is 0"),
    "ScoreOutOfRange": ("always-scores-in-range", ""),
    "UnknownReasonCode": ("always-known-codes", ""),
    "CountsTwice": ("always-counters-balance", "CountTriggers"),
    "CountsErrorsAsMissed": ("result-counters", ""),
    "ReplacesInTheBuffer": ("buffer-order", "FreeResultSlots is|the results"),
    "NewestFirst": ("buffer-order", "the results"),
    "PartIdOfTheNewest": ("buffer-part-ids", "came back as"),
    "SilentOverrun": ("buffer-overrun", "Overrun"),
    "SlotsNotReserved": ("buffer-slots-reserved", "FreeResultSlots is 8"),
    "BuffersAlways": ("unbuffered-newest", "to replace the one before"),
    "OutcomeStays": ("command-completes", "to fall with Execute"),
    "EveryCommandCompletes": ("command-unknown", "CommandCompleted"),
    "ReleasedAtOnce": ("command-released", "cleared by itself after"),
    "ExecuteByLevel": ("command-edges-only", "without an edge"),
    "SecondCommandIsCarriedOut": ("command-while-executing", "Executing fell|carried out"),
    "OutcomeForNobody": ("command-given-up", "nobody waits for"),
    "IgnoresSetOffline": ("offline-by-switch", "Online to fall"),
    "PassStaysOffLine": ("offline-withdraws-pass", "Pass to fall off line"),
    "PassComesBack": ("offline-withdraws-pass", "came back on line"),
    "PassFoundOffLine": ("no-pass-off-line", "a pass is shown off line"),
    "NoSupervision": ("heartbeat-frozen", "PlcHeartbeat stands still"),
    "SupervisedOnceItMoved": ("heartbeat-never-moved", "PlcHeartbeat stands still"),
    "IgnoresDeadline": ("deadline", "the part had a deadline of 1 ms"),
    "HidesFaults": ("fault-after-errors", "no Fault"),
    "ReadyWhileChanging": ("always-changing-is-not-ready", ""),
    "LineStopForNothing": ("always-line-stop-has-a-cause", ""),
    "ChallengeWithoutEnd": ("always-challenge-running", "ChallengeRunning is 1"),
    "StepOfNoChallenge": ("always-challenge-running", "ChallengeStep is 1"),
}
"""Every broken station: the rule meant for it, and what the rule says where it has more than one message."""


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    directory = tmp_path_factory.mktemp("station")
    with live_station(
        directory,
        command=(sys.executable, "-m", "tests.system.conformance.broken", str(directory)),
        plc__heartbeat_timeout_s=HEARTBEAT_TIMEOUT_S,
        camera__exposure_time_us=20_000.0,
    ) as bench:
        yield bench


def check(port: int, rule: str, source: Source = Source.TRIGGER, times: Times = QUICK) -> Finding:
    def client() -> ModbusClient:
        return ModbusClient(TcpTransport("127.0.0.1", port))

    link = StationAsServer(client(), client)
    plc = Plc(link, times, Order())
    plc.observers.append(Watch())
    plc.source = source
    try:
        plc.scan()
        if source is Source.NONE:
            plc.find_source()
        return run.check_one(plc, RULES[rule])
    finally:
        link.close()


def become(station: Bench, variant: str) -> None:
    (station.directory / "broken").write_text(variant)
    wait_for(lambda: read(station.directory / "broken.now") == variant, f"the station to become {variant}")


@pytest.mark.parametrize("variant", CAUGHT)
def test_a_broken_station_is_caught_by_the_rule_meant_for_it(station: Bench, variant: str) -> None:
    rule, why = CAUGHT[variant]
    become(station, variant)
    finding = check(station.port, rule)
    if finding.verdict is not Verdict.FAILED or not re.search(why, finding.why):
        # a busy machine may be late at another step, or look too seldom
        finding = check(station.port, rule, times=PATIENT)
    assert finding.verdict is Verdict.FAILED, finding.why
    assert re.search(why, finding.why), finding.why


def test_every_broken_station_is_tried() -> None:
    assert CAUGHT.keys() == VARIANTS.keys()
    assert {rule for rule, _ in CAUGHT.values()} <= RULES.keys()


NOT_KEPT_BY_A_PLAIN_MEMORY = (
    "map-version",
    "map-read-only",
    "map-outside",
    "map-write-whole-or-not",
    "map-other-unit",
    "link-one-writer",
    "link-heartbeat",
    "part-id-ack",
    "result-reject-without",
    "offline-by-switch",
    "command-completes",
    "always-ejectors-twice",
)


@pytest.fixture(scope="module")
def plain_memory() -> Iterator[int]:
    """A Modbus server that takes every write and does nothing. Its register Ejectors is 4, its bits are 0."""
    server = ModbusServer("127.0.0.1", free_port(), no_block=True)
    server.data_bank.set_input_registers(7, [4])
    server.start()
    yield server.port
    server.stop()


@pytest.mark.parametrize("rule", NOT_KEPT_BY_A_PLAIN_MEMORY)
def test_a_modbus_device_that_is_no_station_is_caught(plain_memory: int, rule: str) -> None:
    finding = check(plain_memory, rule)
    assert finding.verdict is Verdict.FAILED, finding.why


def test_what_cannot_be_checked_is_not_passed(plain_memory: int) -> None:
    finding = check(plain_memory, "trigger-sequence", Source.NONE)
    assert finding.verdict is Verdict.NOT_CHECKED
    assert "takes no parts" in finding.why
    assert run.exit_code([finding], require_all=False) == 0
    assert run.exit_code([finding], require_all=True) == 1
    finding = check(plain_memory, "trigger-sequence", Source.LINE)
    assert finding.verdict is Verdict.NOT_CHECKED
    assert "parts come by the line" in finding.why


def test_a_station_with_a_light_barrier_is_tested_with_the_parts_of_its_line(tmp_path: Path) -> None:
    with live_station(tmp_path, camera__trigger="line") as bench:
        line_stops = threading.Event()

        def run_line() -> None:
            while not line_stops.wait(0.3):
                bench.scene.pulse_line1()

        line = threading.Thread(target=run_line)
        line.start()
        link = StationAsServer(ModbusClient(TcpTransport("127.0.0.1", bench.port)), None)
        try:
            plc = Plc(link, PATIENT, Order())
            findings = run.check(plc, run.selected(["result-acknowledge", "result-reason", "trigger-sequence"]), print)
        finally:
            line_stops.set()
            line.join()
            link.close()
    assert plc.source is Source.LINE
    verdicts = {finding.rule.id: finding.verdict for finding in findings}
    assert verdicts.pop("trigger-sequence") is Verdict.NOT_CHECKED
    assert set(verdicts.values()) == {Verdict.PASSED}


def test_the_command_says_what_is_wrong_with_its_input(capsys: pytest.CaptureFixture[str]) -> None:
    def complains(*arguments: str) -> str:
        assert cli.main(["plc", "conformance", *arguments]) == 2
        return capsys.readouterr().err

    assert 'no rule is called "no-such-rule"' in complains("--only", "no-such-rule", "--list")
    assert "127.0.0.1:1" in complains("--port", "1", "--only", "map-version")
    assert "HOST:PORT" in complains("--listen", "nowhere")
    assert cli.main(["plc", "conformance", "--list"]) == 0
    assert "trigger-edges-only" in capsys.readouterr().out
