"""A mistake in the configuration takes no command away that reads the records or asks the running station."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from station.configuration.file import ConfigurationError, control_socket_of, station_section_of
from tests.commands.records.conftest import Station

READING = {
    "parts": ("parts",),
    "counts": ("counts",),
    "show": ("show", "1002"),
    "sheet": ("sheet", "--output", "{folder}/sheet.svg"),
    "label": ("label", "1002", "good"),
    "trace": ("trace", "1002"),
    "audit": ("audit",),
    "config": ("config", "list"),
    "report": ("report", "--since", "2026-10-24", "--output", "{folder}/r.csv"),
    "quarantine": ("quarantine", "list"),
    "evidence": ("evidence", "1002", "--output", "{folder}/e.zip"),
    "challenge": ("challenge", "history"),
}
MISTAKES = {
    "a key that is none": ("[decison]\nlimit = 3\n", "decison"),
    "a value that is none": ('[plc]\nport = "many"\n', "port"),
    "no TOML": ("[plc]\nport = = 5\n", "is not valid TOML"),
    "no end": ('[plc]\nwriters = [\n"10.0.0.1",\n', "is not valid TOML"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("command", READING)
def test_what_reads_the_records_goes_on_and_says_what_is_wrong(command: str, mistake: str, station: Station) -> None:
    text, named = MISTAKES[mistake]
    written = re.sub(r"\[plc\][^\[]*", "", station.config.read_text())
    station.config.write_text(written + text)
    code, out, err = station.run(*(word.format(folder=station.config.parent) for word in READING[command]))
    assert code == 0, err
    assert named in err
    assert "shown without what it sets" in err
    if command in ("parts", "show", "trace"):
        assert "2026-10-25 02:30:00" in out, "by the clock of the station all the same"


def test_a_mistake_before_the_work_folder_is_no_guess(tmp_path: Path) -> None:
    path = tmp_path / "station.toml"
    path.write_text('[station]\nname = \nwork_dir = "elsewhere"\n')
    with pytest.raises(ConfigurationError, match="is not valid TOML"):
        control_socket_of(path)
    path.write_bytes('[station]\nwork_dir = "elsewhere"  # größer\n'.encode("latin-1"))
    assert control_socket_of(path) == tmp_path / "elsewhere" / "control.sock"
    path.write_text('[station]\nwork_dir = "elsewhere"\nname = \n')
    assert control_socket_of(path) == tmp_path / "elsewhere" / "control.sock"
    path.write_text('[station]\nname = "line 4"\n[plc]\nport = \n')
    assert station_section_of(path) == {"name": "line 4"}
    assert control_socket_of(path) == tmp_path / "work" / "control.sock"
    path.write_text('[station]\nname = "line 4"\n[plc\n')
    with pytest.raises(ConfigurationError, match="is not valid TOML"):
        control_socket_of(path)
