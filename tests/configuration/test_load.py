"""Configuration: every problem at once, with file, key, value and what is allowed; every setting documented."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.generate import configuration as config_doc
from station.configuration import load as config
from station.configuration.load import ConfigurationError, changed_for_restart
from station.configuration.model import Configuration
from tests.bench.places import ROOT

CAMERA = '[cameras.top]\nproducer = "simtl"\n'
TWO = CAMERA + '[cameras.side]\nproducer = "simtl"\nserial_number = "SIM0001"\n'
DOCS = ROOT / "docs" / "configuration.md"


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
    assert loaded.settings.lead_name == "top"
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
    assert any(
        "[cameras.top] shutter: unknown key; allowed here: after_counts, after_ms, depth, " in line for line in found
    )
    assert any("[plc] port = 'a'" in line for line in found)
    assert any("qualty: unknown key" in line and "quality" in line for line in found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "cameras: missing"),
        ("[cameras.top]\n", 'driver "genicam" needs `producer`'),
        ('[cameras.top]\ndriver = "folder"\nfolder = "x"\n', "no input line"),
        (CAMERA + '[cameras.side]\nproducer = "simtl"\n', "two of them are the same device"),
        ("".join(CAMERA.replace("top", f"c{n}") for n in range(9)), "9 given, 1 to 8"),
        ('[cameras."side view"]\nproducer = "simtl"\n', '"side view" is no name'),
        (CAMERA + "after_ms = 10.0\n", "is the first camera"),
        (TWO + "after_ms = 500.0\n", "raise deadline_ms"),
        (TWO + "after_counts = 500\n", "tolerance_counts belong together"),
        (TWO + "after_ms = 5.0\nafter_counts = 500\ntolerance_counts = 5\n", "after_ms and after_counts are both"),
        (TWO + 'trigger = "plc"\nafter_counts = 500\ntolerance_counts = 5\n', 'after_counts needs trigger = "line"'),
        (TWO + "[decision.views.left]\n", "no such camera; there are: top, side"),
        (TWO + '[views]\nrule = "k_of_n"\nk = 3\n', "no part could fail with 2 cameras"),
        (
            TWO
            + '[views]\nrule = "weighted"\n[decision.views.top]\nweight = 0.4\n[decision.views.side]\nweight = 0.5\n',
            "add up to 0.9",
        ),
        (TWO + "[decision.views.top]\nreject_score = 0.3\nreview_score = 0.4\n", "is above reject_score"),
        (CAMERA + "[decision]\nreject_score = 0.5\nreview_score = 0.6\n", "review_score 0.6 is above reject_score 0.5"),
        (CAMERA + '[[decision.zones]]\nname = "a"\npolygon = [[0, 0], [2, 0], [1, 1]]\n', "outside 0..1"),
        (CAMERA + "[station\n", "is not valid TOML"),
        (CAMERA + '[engine]\npath = "a"\nstore = "b"\n', "`path` and `store` are both set"),
        (CAMERA + '[engine]\nstore = "b"\n[recipe]\nname = "../x"\n', "names a folder of [engine] store"),
    ],
)
def test_wrong(tmp_path: Path, text: str, expected: str) -> None:
    assert any(expected in line for line in problems(tmp_path, text)), expected


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_saved_by_windows_is_read(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "station.toml"
    file.write_bytes((CAMERA + "# gr\u00fcn\n").replace("\n", "\r\n").encode(encoding))
    assert config.load(file).settings.recipe.name == "default"


@pytest.mark.parametrize(
    ("data", "said"),
    [(b'name = "gr\xfcn"', "save it as UTF-8"), (b"a = " + b"[" * 100_000, "too deep in each other")],
)
def test_a_file_that_is_no_text_or_too_deep_is_refused(tmp_path: Path, data: bytes, said: str) -> None:
    (tmp_path / "station.toml").write_bytes(data)
    with pytest.raises(ConfigurationError, match=said):
        config.load(tmp_path / "station.toml")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such file; name it with --config"):
        config.load(tmp_path / "none.toml")


def test_the_engine_of_a_store_is_the_active_one_of_the_product(tmp_path: Path) -> None:
    loaded = config.load(write(tmp_path, CAMERA + '[engine]\nstore = "engines"\n[recipe]\nname = "flange"\n'))
    assert loaded.engine_store == tmp_path / "engines" / "flange"
    assert loaded.engine_path == tmp_path / "engines" / "flange" / "active"


def test_what_needs_a_restart(tmp_path: Path) -> None:
    old = config.load(write(tmp_path, CAMERA)).settings
    new = config.load(write(tmp_path, CAMERA + "[plc]\nport = 5020\n[decision]\npixel_size_mm = 0.2\n")).settings
    assert changed_for_restart(old, new) == ["plc.port"]


def test_of_what_goes_to_the_plant_only_whether_something_does_needs_a_restart(tmp_path: Path) -> None:
    webhook = '[webhook]\nurl = "https://mes/"\nsecret_file = "s"\n'
    none, some = (config.load(write(tmp_path, CAMERA + text)).settings for text in ("", webhook))
    other = config.load(write(tmp_path, CAMERA + webhook.replace("mes", "mes2") + "batch = 5\n")).settings
    assert changed_for_restart(none, some) == ["webhook.url"]
    assert changed_for_restart(some, other) == []


def test_what_clients_of_the_plant_may_command_needs_a_restart(tmp_path: Path) -> None:
    """As all that says who may do what: an edit of the file alone opens nothing."""
    opcua = "[opcua]\nenabled = true\n"
    old, new = (config.load(write(tmp_path, CAMERA + opcua + more)).settings for more in ("", 'commands = "all"\n'))
    assert changed_for_restart(old, new) == ["opcua.commands"]


def test_a_camera_more_or_less_needs_a_restart(tmp_path: Path) -> None:
    one = config.load(write(tmp_path, CAMERA)).settings
    two = config.load(write(tmp_path, TWO)).settings
    assert changed_for_restart(one, two) == ["cameras.side"]
    assert changed_for_restart(two, one) == ["cameras.side"]


def test_every_setting_is_documented() -> None:
    assert config_doc.undocumented() == []
    page = config_doc.markdown()
    assert [name for name in Configuration.model_fields if f"## [{name}]" not in page and name != "cameras"] == []


def test_the_page_is_up_to_date() -> None:
    assert DOCS.read_text() == config_doc.markdown(), "run: make docs"


def test_the_example_is_valid_and_uses_the_engine_store() -> None:
    loaded = config.load(ROOT / "deploy" / "station.toml")
    assert loaded.engine_store == Path("/var/lib/station/engines/default")


def test_what_a_view_does_not_set_is_that_of_the_station(tmp_path: Path) -> None:
    path = tmp_path / "station.toml"
    path.write_text(
        TWO
        + "[decision]\nreject_score = 0.6\npixel_size_mm = 0.2\n[quality]\nmax_mean_grey = 200.0\n"
        + "[decision.views.side]\nreject_score = 0.7\n[decision.views.side.quality]\nmin_mean_grey = 30.0\n"
    )
    settings = config.load(path).settings
    top, side = settings.decision_on("top"), settings.decision_on("side")
    assert (top.reject_score, top.pixel_size_mm) == (0.6, 0.2)
    assert (side.reject_score, side.pixel_size_mm) == (0.7, 0.2)
    assert (settings.quality_on("top").min_mean_grey, settings.quality_on("top").max_mean_grey) == (5.0, 200.0)
    assert (settings.quality_on("side").min_mean_grey, settings.quality_on("side").max_mean_grey) == (30.0, 200.0)
