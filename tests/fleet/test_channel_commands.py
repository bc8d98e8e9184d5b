"""The commands of the channel, from one station to another, and what `station check` says of the last pull."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from station.commands.main import main
from station.commissioning.plant_check import channel_findings
from station.configuration.load import ConfigurationError, load
from station.fleet.seen import file_of, read_seen, write_seen
from tests.fleet.plant import Plant
from tests.northbound.plant_process import said

STATION = '[station]\nname = "ST-04"\n[cameras.top]\nproducer = "simtl"\n[plc]\nrole = "off"\n'


def configured(plant: Plant, folder: Path, store: str, more: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    config = folder / "station.toml"
    engine = f'[engine]\nstore = "{store}"\nproduct = "cover"\ntrusted_keys = "{plant.keys.trusted}"\n'
    config.write_text(f"{STATION}{engine}{more}")
    return config


@pytest.mark.system
def test_published_here_and_pulled_there(plant: Plant, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    maker = configured(plant, tmp_path / "one", str(plant.maker.path.parent))
    config = configured(plant, tmp_path / "two", "engines", f'[channel]\nurl = "{plant.shared}"\n')
    station = load(config)
    (finding,) = channel_findings(station)
    assert (finding.ok, "nothing was ever pulled" in finding.detail) == (False, True)
    code, found = said(config, capsys, "fleet", "pull")
    assert (code, found["outcome"], found["version"]) == (1, "refused", None)
    assert "whoever publishes" in found["detail"]
    (finding,) = channel_findings(station)
    assert "the engine that runs goes on" in finding.detail
    code, found = said(
        maker, capsys, "fleet", "publish", "2", str(plant.shared), "--key", str(plant.keys.secret), "--days", "3"
    )
    assert (code, found["sequence"], found["product"]) == (0, 1, "cover")
    code, found = said(config, capsys, "fleet", "pull")
    assert (code, found["outcome"], found["sequence"]) == (0, "imported", 1), found
    assert found["version"].startswith("0001-")
    assert plant.keys.key_id in found["signed_by"]
    (finding,) = channel_findings(station)
    assert finding.ok, finding.detail
    assert "sequence 1, pulled " in finding.detail
    file = file_of(station.work_dir, "cover")
    seen = read_seen(file)
    write_seen(
        file, type(seen)(**{name: getattr(seen, name) for name in seen.__slots__} | {"expires": "2026-01-01T00:00:00Z"})
    )
    (finding,) = channel_findings(station)
    assert (finding.ok, "nothing newer was pulled" in finding.detail) == (False, True)
    assert main(["fleet", "pull", "--config", str(config)]) == 0
    assert "was in the store already" in capsys.readouterr().out


def test_bad_input_is_said(plant: Plant, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    maker = configured(plant, tmp_path / "one", str(plant.maker.path.parent))
    key = ["--key", str(plant.keys.secret)]
    assert said(maker, capsys, "fleet", "pull")[0] == 2
    code, text = said(maker, capsys, "fleet", "publish", "9", str(plant.shared), *key)
    assert (code, "9" in text) == (2, True)
    code, text = said(maker, capsys, "fleet", "publish", "1", str(plant.shared), *key, "--days", "4000")
    assert (code, "allowed: 1 to 3650" in text) == (2, True)
    code, text = said(maker, capsys, "fleet", "publish", "1", str(plant.shared), "--key", str(tmp_path / "no.key"))
    assert (code, "minisign -G" in text) == (2, True)
    assert not plant.shared.exists() or not list(plant.shared.glob("channel.json"))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('url = "http://plant.example/cover"', "http would go over the network in clear"),
        ('url = "ftp://plant"', "no address"),
        ('url = ""', "at least 1"),
        ('url = "x"\nmax_mb = 0', "max_mb"),
        ('url = "x"\nactivate = true', "unknown key"),
    ],
)
def test_a_channel_that_cannot_be_is_refused(plant: Plant, tmp_path: Path, lines: str, words: str) -> None:
    config = configured(plant, tmp_path / "two", "engines", f"[channel]\n{lines}\n")
    with pytest.raises(ConfigurationError) as problem:
        load(config)
    assert words in str(problem.value)


def test_a_channel_needs_a_store(tmp_path: Path) -> None:
    config = tmp_path / "station.toml"
    config.write_text(f'{STATION}[engine]\npath = "e"\n[channel]\nurl = "x"\n')
    with pytest.raises(ConfigurationError, match=r"only a store takes engines"):
        load(config)


def test_the_clock_is_the_computers(plant: Plant) -> None:
    plant.now = time.time()
    assert plant.publish("1").expires_at == pytest.approx(plant.now + 30 * 86_400, abs=1)
