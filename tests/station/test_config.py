"""Configuration: every problem at once, with file, key, value and what is allowed; every setting documented."""

from __future__ import annotations

from pathlib import Path

import pytest

from station import config, config_doc
from station.config import ConfigurationError

CAMERA = '[cameras.top]\nproducer = "simtl"\n'
DOCS = Path(__file__).parents[2] / "docs" / "configuration.md"


def write(path: Path, text: str) -> Path:
    file = path / "station.toml"
    file.write_text(text)
    return file


def problems(path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        config.load(write(path, text))
    assert all(line.startswith(str(path / "station.toml")) for line in str(caught.value).splitlines())
    return caught.value.problems


def test_smallest_file(tmp_path: Path) -> None:
    loaded = config.load(write(tmp_path, CAMERA))
    assert loaded.camera[0] == "top"
    assert loaded.work_dir == tmp_path / "work"
    assert len(loaded.checksum) == 64


def test_the_checksum_is_of_the_content(tmp_path: Path) -> None:
    first = config.load(write(tmp_path, CAMERA)).checksum
    assert config.load(write(tmp_path, CAMERA)).checksum == first
    assert config.load(write(tmp_path, CAMERA + "\n[plc]\nport = 5020\n")).checksum != first


def test_everything_that_is_wrong_at_once(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        '[cameras.top]\nproducer = "simtl"\nexposure_time_us = -3\nshutter = 1\n[plc]\nport = "a"\n[qualty]\nx = 1\n',
    )
    assert len(found) == 4
    assert any("[cameras.top] exposure_time_us = -3" in line for line in found)
    assert any("[cameras.top] shutter: unknown key; allowed here: driver, exposure_time_us" in line for line in found)
    assert any("[plc] port = 'a'" in line for line in found)
    assert any("qualty: unknown key" in line and "quality" in line for line in found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "cameras: missing"),
        ("[cameras.top]\n", 'driver "genicam" needs `producer`'),
        ('[cameras.top]\ndriver = "folder"\nfolder = "x"\n', "no input line"),
        (CAMERA + '[cameras.side]\nproducer = "simtl"\n', "exactly one"),
        (CAMERA + "[decision]\nreject_score = 0.5\nreview_score = 0.6\n", "review_score 0.6 is above reject_score 0.5"),
        (CAMERA + '[[decision.zones]]\nname = "a"\npolygon = [[0, 0], [2, 0], [1, 1]]\n', "outside 0..1"),
        (CAMERA + "[station\n", "is not valid TOML"),
        (CAMERA + '[engine]\npath = "a"\nstore = "b"\n', "`path` and `store` are both set"),
        (CAMERA + '[engine]\nstore = "b"\n[recipe]\nname = "../x"\n', "names a folder of [engine] store"),
    ],
)
def test_wrong(tmp_path: Path, text: str, expected: str) -> None:
    assert any(expected in line for line in problems(tmp_path, text)), expected


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        config.load(tmp_path / "none.toml")


def test_the_engine_of_a_store_is_the_active_one_of_the_product(tmp_path: Path) -> None:
    loaded = config.load(write(tmp_path, CAMERA + '[engine]\nstore = "engines"\n[recipe]\nname = "flange"\n'))
    assert loaded.engine_store == tmp_path / "engines" / "flange"
    assert loaded.engine_path == tmp_path / "engines" / "flange" / "active"


def test_what_needs_a_restart(tmp_path: Path) -> None:
    old = config.load(write(tmp_path, CAMERA)).settings
    new = config.load(write(tmp_path, CAMERA + "[plc]\nport = 5020\n[decision]\npixel_size_mm = 0.2\n")).settings
    assert config.changed_for_restart(old, new) == ["plc"]


def test_every_setting_is_documented() -> None:
    assert config_doc.undocumented() == []


def test_the_page_is_up_to_date() -> None:
    assert DOCS.read_text() == config_doc.markdown(), "run: python -m station.config_doc > docs/configuration.md"


def test_the_example_is_valid_and_uses_the_engine_store() -> None:
    loaded = config.load(DOCS.parents[1] / "deploy" / "station.toml")
    assert loaded.engine_store == Path("/var/lib/station/engines/default")
