"""What a client that is not ours reads: every node that the specification demands, each result once, as on record."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from drivers.opcua.choice import mandatory_paths
from station.records.parts import PartRow, parts
from station.records.schema import open_reader
from tests.bench.waiting import wait_for
from tests.northbound.opcua.client import (
    CONDITION_FIELDS,
    RESULT_FIELDS,
    Client,
    client,
    papers,
)  # fmt: skip
from tests.northbound.opcua.system import Bench, bench
from tests.northbound.sending import record, some

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def plant(modules: Path, station: Bench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("client")
    mine = papers(folder)
    station.trust(mine.der)
    with client(modules, folder) as opened:
        opened.connect(station.port, mine)
        yield opened


def rows(records: Path) -> dict[str, PartRow]:
    with closing(open_reader(records)) as connection:
        return {f"{row.session}/{row.acquisition_id}": row for row in parts(connection)}


def same(event: dict[str, Any], row: PartRow) -> None:
    """A result that came says what is on record."""
    content = event["ResultContent"][0]
    reason = next(iter(row.reason_list), None)
    assert event["PartId"]["Id"] == str(row.part_id)
    assert event["ResultState"] == (4 if row.verdict == "ERROR" else 1)
    assert (event["IsPartial"], event["IsSimulated"]) == (False, False)
    assert event["InternalRecipeId"]["Id"] == event["ExternalRecipeId"]["Id"] == row.recipe
    assert (event["InternalRecipeId"].get("Hash") or "") == row.recipe_checksum
    assert event["JobId"]["Id"] == row.session
    assert (content["Key"], content["Verdict"]) == (f"{row.session}/{row.acquisition_id}", row.verdict)
    assert content["ReasonCode"] == (0 if reason is None else int(reason.code))
    for name, value in (("Score", row.score), ("RejectScore", row.reject_score), ("SignalledMs", row.signalled_ms)):
        assert content.get(name) == value
    assert [view["Verdict"] for view in content["Views"]] == [view.verdict for view in row.views]


def test_every_node_that_the_specification_demands_is_there(plant: Client) -> None:
    wanted = mandatory_paths()
    assert len(wanted) > 60
    assert plant.ask("walk", paths=list(wanted)) == wanted


def test_the_line_is_there_as_plain_variables(station: Bench, plant: Client) -> None:
    wait_for(lambda: plant.read("Count/Triggers") == [7], "the first look")
    found = plant.read("Line/Online", "Line/State", "Line/Recipe", "Count/Missed", "Line/ErrorCode")
    assert found == [True, "continuous_execution", "flange", None, 0], "not known is not 0"
    assert plant.read("VisionStateMachine/CurrentState") == ["Operational"]
    assert plant.read("VisionStateMachine/AutomaticModeStateMachine/CurrentState") == ["ContinuousExecution"]
    active = plant.read("ConfigurationManagement/ActiveConfiguration")[0]
    assert active["InternalId"]["Hash"] == "cd" * 32
    assert plant.ask("write", path="VisionSystem/Line/Ready") == "BadUserAccessDenied"


def test_each_result_comes_once_and_as_it_is_on_record(station: Bench, plant: Client) -> None:
    """20 parts a second for 2 s; `benchmarks/opcua.py` has the 10 minutes."""
    plant.ask("subscribe", fields=RESULT_FIELDS)
    before = len(rows(station.records)) if (station.records / "records.db").exists() else 0
    for second in range(2):
        record(station.records, some(20 * second + 1, 20 * second + 20))
        time.sleep(0.5)
    wait_for(lambda: len(plant.results()) >= 40, "the results")
    wait_for(lambda: station.at == before + 40, "the cursor")
    assert plant.results() == [f"s1/{number}" for number in range(1, 41)], "in order, each once"
    on_record = rows(station.records)
    for event in plant.events:
        same(event, on_record[event["ResultId"]["Id"]])
    last = on_record["s1/40"]
    found = plant.read("Part/Key", "Part/Verdict", "Part/Score", "Part/PartId")
    assert found == ["s1/40", last.verdict, last.score, last.part_id]
    latest = plant.read(
        "ResultManagement/Results/Latest", "ResultManagement/Results/Latest/ResultId",
        "ResultManagement/Results/Latest/ResultState", "ResultManagement/Results/Latest/ResultContent",
    )  # fmt: skip
    assert latest[0]["ResultId"] == latest[1] == {"Id": "s1/40"}
    assert latest[3][0]["Verdict"] == last.verdict


def test_results_recipes_and_the_configuration_are_asked_for(station: Bench, plant: Client) -> None:
    (station.folder / "recipes" / "bolt.toml").write_text('description = "bolt"\n')
    status, found = plant.call("ResultManagement/GetResultById", ["3021", {"Id": "s1/7"}], ["Int32", 0])
    assert (status, found[2], found[1]["ResultId"]) == ("Good", 0, {"Id": "s1/7"})
    same(found[1], rows(station.records)["s1/7"])
    for unknown in ("s1/999", "nobody", "s1/x", "", "s1/" + "9" * 30):
        status, found = plant.call("ResultManagement/GetResultById", ["3021", {"Id": unknown}], ["Int32", 0])
        assert (status, found[2]) == ("Good", -2), unknown
    status, found = plant.call("ResultManagement/GetResultComponentsById", ["3021", {"Id": "s1/7"}], ["Int32", 0])
    assert (status, found[6], found[-1]) == ("Good", {"Id": "1007"}, 0)
    nothing: list[list[Any]] = [
        ["3015", {"Id": ""}], ["3004", {"Id": ""}], ["3002", {"Id": ""}], ["3013", {"Id": ""}], ["3008", {"Id": ""}],
        ["3008", {"Id": ""}], ["3003", {"Id": ""}], ["3016", {"Id": "s1"}],
    ]  # fmt: skip
    page: list[list[Any]] = [["UInt32", 3], ["UInt32", 2], ["Int32", 0]]
    status, found = plant.call("ResultManagement/GetResultListFiltered", ["Int32", 1], *nothing, *page)
    assert (status, found[0], found[1]) == ("Good", False, 3)
    assert [one["ResultId"]["Id"] for one in found[3]] == ["s1/38", "s1/37", "s1/36"], "newest first"
    one_part = [*nothing[:1], ["3004", {"Id": "1009"}], *nothing[2:]]
    page = [["UInt32", 0], ["UInt32", 0], ["Int32", 0]]
    status, found = plant.call("ResultManagement/GetResultListFiltered", ["Int32", 0], *one_part, *page)
    assert (found[0], [one["ResultId"]["Id"] for one in found[3]]) == (True, ["s1/9"])
    for prepared, names in ((0, ["bolt"]), (1, ["flange"]), (2, ["bolt", "flange"])):
        asked: list[list[Any]] = [["3002", {"Id": ""}], ["3003", {"Id": ""}], ["Int32", prepared], *page]
        status, found = plant.call("RecipeManagement/GetRecipeListFiltered", *asked)
        assert (status, [one["Id"] for one in found[3]]) == ("Good", names)
    status, found = plant.call("ConfigurationManagement/GetConfigurationList", *page)
    assert (found[1], found[3][0]["InternalId"]["Hash"]) == (1, "cd" * 32)
    status, _ = plant.call("ConfigurationManagement/ActivateConfiguration", ["3008", {"Id": "station.toml"}])
    assert status == "BadNotExecutable", "there is one configuration"


def test_warnings_and_faults_are_conditions(station: Bench, modules: Path, tmp_path: Path) -> None:
    mine = papers(tmp_path, "urn:plant:alarms")
    station.trust(mine.der, "alarms")
    with client(modules, tmp_path) as plant:
        plant.connect(station.port, mine)
        plant.ask("subscribe", fields=CONDITION_FIELDS, path="Server")

        def came(name: str, retain: bool) -> bool:
            return any((one["ConditionName"], one["Retain"]) == (name, retain) for one in plant.events)

        station.daemon.warn(True)
        wait_for(lambda: came("Warning/5", True), "the warning")
        station.daemon.fault()
        wait_for(lambda: came("Error/14", True), "the fault")
        fault = next(one for one in plant.events if one["ConditionName"] == "Error/14")
        assert (fault["ErrorCode"], fault["StopReaction"]) == (14, True)
        assert plant.read("VisionStateMachine/CurrentState") == ["Error"]
        plant.events.clear()
        assert plant.ask("refresh") == "Good"
        wait_for(lambda: came("Error/14", True) and came("Warning/5", True), "what stands, once more")
        station.daemon.condition.clear_fault()
        wait_for(lambda: came("Error/14", False) and came("Warning/5", False), "their end")
        station.daemon.silent = True
        wait_for(lambda: came("Silent", True), "the silence")
        assert plant.read("VisionStateMachine/CurrentState") == ["Halted"]
        station.daemon.silent = False
        wait_for(lambda: came("Silent", False), "its end")
        wait_for(lambda: plant.read("VisionStateMachine/CurrentState") == ["Operational"], "the line")


def test_parts_wait_for_the_client_that_must_get_them(modules: Path, tmp_path: Path) -> None:
    """It is away, comes, is killed without a word, and comes again; another client that listens does not count."""
    mes, other = papers(tmp_path / "mes", "urn:plant:mes"), papers(tmp_path / "other", "urn:plant:other")
    with bench(tmp_path / "station", primary="urn:plant:mes") as station:
        station.trust(mes.der, "mes")
        station.trust(other.der, "other")
        with client(modules, tmp_path / "other") as listener:
            listener.connect(station.port, other)
            listener.ask("subscribe", fields=("ResultId",))
            record(station.records, some(1, 10))
            wait_for(lambda: waits(station, "urn:plant:mes"), "what is said of it")
            assert station.at == 0
            assert plain(listener, "Part/Key") == "s1/10", "who only reads sees the last part all the same"
            first = Client(modules, tmp_path / "mes")
            first.connect(station.port, mes, session_ms=5000)
            first.ask("subscribe", fields=("ResultId",))
            wait_for(lambda: station.at == 10, "the cursor")
            first.kill()
            record(station.records, some(11, 20))
            with client(modules, tmp_path / "mes") as second:
                second.connect(station.port, mes)
                second.ask("subscribe", fields=("ResultId",))
                wait_for(lambda: station.at == 20, "the cursor", 60)
                got = set(first.results()) | set(second.results())
        assert got == {f"s1/{number}" for number in range(1, 21)}


def waits(station: Bench, who: str) -> bool:
    progress = station.cursors.of("opcua")
    return progress is not None and who in progress.detail


def plain(plant: Client, path: str) -> Any:
    wait_for(lambda: plant.read(path) != [None], path)
    return plant.read(path)[0]
