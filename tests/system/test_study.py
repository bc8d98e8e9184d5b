"""An agreement study on the whole station: parts shown again, counted apart, and what it said with its pictures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from station.commands import main as cli
from station.results import PartCounts
from tests.bench.bench import bad, good
from tests.bench.waiting import wait_for
from tests.system.test_challenge import START_CHALLENGE, challenged, made, state

pytestmark = pytest.mark.system


def test_a_study_is_planned_shown_entered_and_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = tmp_path / "parts.csv"
    parts.write_text("part,reference\n17,good\n18,defective,borderline\n19,defective\n")
    looks = {"17": good(), "18": good(), "19": bad()}  # the station cannot see what is wrong with part 18
    with challenged(tmp_path) as bench:
        config = ["--config", str(bench.config_path)]
        bench.start()
        plan = ["msa", "plan", "s", "--parts", str(parts), "--trials", "2", "--seed", "3", "--who", "anna"]
        assert cli.main([*plan, *config]) == 0
        assert bench.part(good()).passed
        for trial in (1, 2):
            assert cli.main(["msa", "run", "s", *config]) == 0
            for number in range(3):
                wait_for(lambda: not bench.plc.ready and state(bench)["awaits_confirmation"], "the next part asked for")
                part = state(bench)["next_part"]
                assert bench.plc.command(START_CHALLENGE)
                wait_for(lambda: bench.plc.ready, "TriggerReady")
                shown = bench.part(looks[part])
                assert shown.passed is (part == "17"), (trial, number, part)
            wait_for(lambda: not state(bench)["study"], "the end of the trial")
        wait_for(lambda: [run.verdict.name for run in made(bench)] == ["PASSED"] * 2, "the records")
        assert cli.main(["msa", "run", "s", *config]) == 2  # it has shown both trials
        assert bench.part(bad()).reject
        said = tmp_path / "anna.csv"
        said.write_text("".join(f"{trial},{part},{word}\n" for trial in (1, 2)
                                for part, word in (("17", "accept"), ("18", "reject"), ("19", "reject"))))  # fmt: skip
        assert cli.main(["msa", "enter", "s", "--appraiser", "anna", "--file", str(said), *config]) == 0
        assert bench.terminate() == 0
        assert bench.counts() == PartCounts(triggers=2, passed=1, failed=1, review=0, error=0, missed=0, challenge=6)
        capsys.readouterr()
        assert cli.main(["msa", "report", "s", "--json", *config]) == 1
        found = json.loads(capsys.readouterr().out)
        assert found["grade"] == "unacceptable"
        assert [row["part"] for row in found["disagreements"]] == ["18"]
        assert found["disagreements"][0]["said (A accepted, R rejected)"] == "station AA; anna RR"
        for end in ("html", "csv", "pdf"):
            cli.main(["msa", "report", "s", "--output", str(tmp_path / f"s.{end}"), *config])
        assert (tmp_path / "s.pdf").read_bytes().startswith(b"%PDF-")
        assert (tmp_path / "s.html").read_text().count("data:image/jpeg;base64,") == 4  # image and map of both trials
        assert cli.main(["msa", "list", *config]) == 0
        assert "station 2 of 2, anna 2 of 2" in " ".join(capsys.readouterr().out.split())
        assert cli.main(["challenge", "history", "--json", *config]) == 0
        assert [run["study"] for run in json.loads(capsys.readouterr().out)] == ["s", "s"]
