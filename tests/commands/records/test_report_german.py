"""A report in German has no English sentence in any of its files, and data are the same in every language."""

from __future__ import annotations

import csv
import sys
from contextlib import closing
from pathlib import Path

import pytest

from station.commands.main import main
from station.hmi.words import languages
from station.msa.analysis import analysed
from station.msa.making import WRITERS as STUDY_WRITERS
from station.msa.making import Source
from station.msa.pdf import _LAYOUT as STUDY_LAYOUT
from station.records.schema import open_writer
from station.reports.production import pdf
from station.reports.production.language import HEADINGS, Language
from station.reports.production.page import title_of
from station.reports.production.stored import read_report
from station.reports.seen import Eyes
from station.reports.shifts import Calendar
from tests.bench.pages import write_configuration
from tests.commands.records.test_report import PERIOD, folder, label
from tests.hmi.test_german import ENGLISH, Texts, is_english
from tests.msa.aiag import RATINGS, STUDY

__all__ = ["folder"]
GERMAN = Language("de", languages()["de"].gettext)
NAMES = {"default"}
"""Of the recipe; people wrote it."""


def left_english(text: str) -> bool:
    """Whether a text of a German file has a German one, as a whole or as a figure."""
    line = " ".join(text.split())
    return line not in NAMES and (is_english(line) or (len(line) > 4 and GERMAN.figure(line) != line))


def read(html: str) -> list[str]:
    texts = Texts()
    texts.feed(html)
    return [line for line in texts.found if line.strip()]


def strings(value: object) -> list[str]:
    """All texts of what goes to Typst."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [text for one in value for text in strings(one)] if isinstance(value, list | tuple) else []


def report(records: Path, *files: Path, language: str = "de", more: tuple[str, ...] = ()) -> int:
    where = ["--records", str(records), "--config", "none.toml", "--language", language]
    return main(["report", *where, *PERIOD, *more, "--output", *map(str, files)])


@pytest.fixture
def talked_about(folder: Path) -> Path:
    """Parts with labels, some of what should be known of them missing, and with an audit chain."""
    label(folder, range(1, 101), "good", why="sample")
    label(folder, range(301, 311), "defective", why="sample", blind=True)
    with closing(open_writer(folder / "records.db")) as db, db:
        db.execute("UPDATE parts SET engine_id = '' WHERE acquisition_id < 40")
    return folder


@pytest.mark.parametrize("labels", [True, False])
def test_no_file_of_a_german_report_says_a_sentence_in_english(
    request: pytest.FixtureRequest, tmp_path: Path, labels: bool
) -> None:
    records: Path = request.getfixturevalue("talked_about" if labels else "folder")
    files = [tmp_path / f"r{end}" for end in (".html", ".csv", ".pdf", ".json")]
    assert report(records, *files, more=("--recipe", "r") if not labels else ()) == 0
    html = files[0].read_text()
    assert '<html lang="de">' in html
    assert "Erkennungsrate" in html
    assert [line for line in read(html) if left_english(line)] == []
    cells = [cell for row in csv.reader(files[1].read_text().splitlines()) for cell in row]
    assert "Kennzahl" in cells
    assert [cell for cell in cells if left_english(cell)] == []
    assert files[2].read_bytes().startswith(b"%PDF-")
    made = read_report(files[3])
    assert made.figures[0].name == "true detection rate", "data are the same in every language"
    assert [text for text in strings(pdf._data(made, Calendar(), GERMAN, [])) if left_english(text)] == []
    assert title_of(made, Language()) != title_of(made, GERMAN)


def test_an_english_report_is_found_by_the_walk(talked_about: Path, tmp_path: Path) -> None:
    """A report that is all German would pass with a walk that finds nothing."""
    assert report(talked_about, tmp_path / "r.html", tmp_path / "r.csv", language="en") == 0
    left = [line for line in read((tmp_path / "r.html").read_text()) if left_english(line)]
    assert {"All figures", "Made from", "true detection rate", "what is missing", "and 19 more", "audit log"} <= set(
        left
    )
    assert (tmp_path / "r.csv").read_text().startswith("figure,value,interval,of,how it was got\n")


def test_layouts_have_no_words_of_their_own() -> None:
    for layout in (pdf._LAYOUT, STUDY_LAYOUT):
        assert [text for text in [*ENGLISH, *HEADINGS.values()] if len(text) > 5 and f"[{text}" in layout] == []
        assert [
            line for line in layout.splitlines() if line.startswith("== ") and not line.startswith("== #data.")
        ] == []


def test_a_study_is_german_in_every_file(tmp_path: Path) -> None:
    found = analysed(STUDY, [*RATINGS, *RATINGS[:3]][: len(RATINGS) - 1])
    source = Source(tmp_path, Eyes(tmp_path, None), Calendar(), "demo")
    html = STUDY_WRITERS[".html"](found, source, lambda _part: [], GERMAN).decode()
    assert "Attributive Übereinstimmung" in html
    assert [line for line in read(html) if left_english(line)] == []
    rows = csv.reader(STUDY_WRITERS[".csv"](found, source, lambda _part: [], GERMAN).decode().splitlines())
    assert [cell for row in rows for cell in row if left_english(cell)] == []
    assert STUDY_WRITERS[".pdf"](found, source, lambda _part: [], GERMAN).startswith(b"%PDF-")


def test_the_language_of_the_pages_is_the_usual_one(folder: Path, tmp_path: Path) -> None:
    config = write_configuration(tmp_path, 'language = "de"\n')
    file = tmp_path / "r.csv"
    asked = ["report", "--records", str(folder), "--config", str(config), *PERIOD, "--output", str(file)]
    assert main(asked) == 0
    assert file.read_text().startswith("Kennzahl,")
    assert main([*asked, "--language", "en"]) == 0
    assert file.read_text().startswith("figure,")


def test_a_language_that_is_not_there_is_a_sentence(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for by name it is refused; the usual one never costs the timer its report."""
    file = tmp_path / "r.csv"
    assert report(folder, file, language="../../x") == 2
    assert "there are en, de" in capsys.readouterr().err
    assert not file.exists()
    config = write_configuration(tmp_path, 'language = "de"\n')
    monkeypatch.setitem(sys.modules, "station.hmi.words", None)
    asked = ["report", "--records", str(folder), "--config", str(config), *PERIOD, "--output", str(file)]
    assert main([*asked, "--language", "de"]) == 2
    assert "edge-inspection-station[hmi]" in capsys.readouterr().err
    assert main(asked) == 0
    assert "written in English" in capsys.readouterr().err
    assert file.read_text().startswith("figure,")
