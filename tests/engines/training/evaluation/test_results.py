"""Results on disk, and pixels of maps and masks."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from markdown_it import MarkdownIt

from engines.bundle.manifest import InputSpec
from engines.errors import DatasetError, TrainingError
from engines.preprocess import place
from engines.training.evaluation.layouts import Sample
from engines.training.evaluation.pixels import evaluation_size, map_on_image, read_mask
from engines.training.evaluation.report import write_report
from engines.training.evaluation.results import BY_PART, STANDARD, Escapes, Result, ResultFolder, Run
from engines.training.evaluation.tables import (
    Results,
    budget_table,
    escape_table,
    gap_table,
    order_claims,
    removed_table,
    spread,
)
from engines.training.images.dataset import ImageFile
from tests.bench.engines.small_sets import write


def result(
    refine: str,
    noise: int,
    seed: int,
    auroc: float | None,
    *,
    fingerprint: str = "a" * 64,
    finished: str = "1",
    **more: object,
) -> Result:
    return Result(
        *("bottle", "spatial", "lite0", refine, noise, seed, "contaminated", fingerprint, finished),
        image_auroc=auroc,
        **more,  # type: ignore[arg-type]
    )


@pytest.fixture
def folder(tmp_path: Path) -> ResultFolder:
    created = ResultFolder(tmp_path / "out")
    created.create()
    return created


def test_a_result_is_found_by_run_and_fingerprint(folder: ResultFolder) -> None:
    old = result("none", 10, 1, 0.5, fingerprint="a" * 64, finished="2026-01-01")
    new = result("none", 10, 1, 0.6, fingerprint="b" * 64, finished="2026-01-02")
    folder.write(new, {"scores": np.arange(3.0)})
    folder.write(old, {})
    run = Run("bottle", "spatial", "none", 10, 1)
    assert folder.find(run, "a" * 64) == old
    assert folder.find(run, None) == new
    assert folder.find(run, "c" * 64) is None
    assert folder.find(Run("bottle", "spatial", "none", 10, 2), None) is None
    assert folder.all() == [new]
    assert folder.arrays(new)["scores"].tolist() == [0, 1, 2]
    assert folder.arrays(old) == {}


def test_escapes_by_kind_are_read_again_and_tabled(folder: ResultFolder) -> None:
    cracks = Escapes(10, 0.5, 0.9, 0.8, 0.4)
    seeds = [
        result("auto", 40, 0, 0.9, escapes=Escapes(20, 0.3, 0.6, 0.5, 0.2), escapes_by_defect={"crack": cracks}),
        result("auto", 40, 1, 0.9, escapes=Escapes(20, 0.1, 0.4, 0.3, 0.2), escapes_by_defect={"crack": cracks}),
    ]
    for each in seeds:
        folder.write(each, {})
    assert folder.all() == seeds
    rows = escape_table(Results(folder.all()), "bottle", "auto").splitlines()[2:]
    assert rows == [
        "| spatial | 40 % | all kinds | 20 | 0.20 | 0.50 | 0.40 | 0.20 |",
        "| spatial | 40 % | crack | 10 | 0.50 | 0.90 | 0.80 | 0.40 |",
    ]


def test_budgets_are_read_again_and_tabled(folder: ResultFolder) -> None:
    for seed, share in enumerate((0.25, 0.35)):
        at = {"3": {"passed": 0.5, "good_above": 0.0}, "10": {"passed": share, "good_above": 0.05}}
        folder.write(result("auto", 40, seed, 0.9, at_review_budget=at), {})
    folder.write(result("auto", 50, 0, 0.9), {})  # of a version that did not know them
    rows = budget_table(Results(folder.all()), "bottle", "auto").splitlines()
    assert rows[0] == "| detector | training set | share | 3 % | 10 % |"
    assert rows[2:] == [
        "| spatial | 40 % | defects that pass | 0.500 | 0.300 |",
        "| spatial | 40 % | good above | 0.000 | 0.050 |",
    ]


def test_a_standard_run_is_not_a_run_without_noise(folder: ResultFolder) -> None:
    folder.write(result("none", 0, 0, 0.5), {})
    assert folder.find(Run("bottle", "spatial", "none", 0, 0, STANDARD), None) is None
    assert Run("bottle", "spatial", "none", 0, 0, BY_PART).name == "bottle-spatial-none-by-part-seed0"


def test_a_damaged_result_is_named(folder: ResultFolder) -> None:
    (folder.runs / "x.json").write_text("{")
    with pytest.raises(TrainingError, match=r"x\.json.*remove it"):
        folder.all()


def test_a_lock_is_held_by_one(folder: ResultFolder) -> None:
    with folder.lock("run", wait=False) as mine:
        assert mine
        with folder.lock("run", wait=False) as second:
            assert not second
        with folder.lock("other", wait=False) as other:
            assert other
    with folder.lock("run", wait=False) as again:
        assert again


def test_tables_average_over_seeds_and_tell_gaps_and_order(folder: ResultFolder) -> None:
    values = {"oracle": 0.9, "none": 0.7, "osr": 0.75, "irp": 0.72}
    for refine, value in values.items():
        for seed in (0, 1):
            removal: Any = {"train_good": 20, "train_bad": 10, "removed_good": 1, "removed_bad": 4 + seed}
            folder.write(result(refine, 30, seed, value + 0.01 * seed, **removal), {})
    folder.write(result("auto", 30, 0, None, error="too few"), {})
    results = Results(folder.all())
    assert "| spatial | none | 0.2000 ± 0.0000 |" in gap_table(results)
    assert "| bottle | spatial | irp | 1/4.5 |" in removed_table(results)
    (claim,) = order_claims(results)
    assert "vanilla 0.7050, OSR 0.7550, IRP 0.7250" in claim
    assert "does not hold" in claim
    write_report(folder)
    text = (folder.folder / "report.md").read_text()
    assert "0.9050 ± 0.0071" in text
    assert "| bottle-spatial-auto-noise30-seed0 | too few |" in text
    assert "| papers, bottle | irp | 0.9200 |" in text
    assert (folder.folder / "plots" / "auroc-spatial.png").is_file()


NASTY = "a|b `c`\n\x1b[2J [/x] <b> $d$ # e"
SHOWN = "a|b `c` \\x1b[2J [/x] <b> $d$ # e"


def test_names_of_others_are_text_in_report_and_pictures(folder: ResultFolder) -> None:
    escapes = Escapes(20, 0.3, 0.6, 0.5, 0.2)
    for seed, error in ((0, None), (1, NASTY)):
        made = result("none", 30, seed, 0.9, escapes=escapes, escapes_by_defect={NASTY: escapes, "dent": escapes})
        folder.write(replace(made, dataset=NASTY.replace("/", ""), error=error), {})
    write_report(folder)
    text = (folder.folder / "report.md").read_text()
    assert all(each.isprintable() or each == "\n" for each in text)
    page = MarkdownIt("commonmark").enable("table").render(text)
    assert "<b>" not in page
    assert not re.search(r"<code>c</code>", page)
    headings = [html.unescape(heading) for heading in re.findall(r"<h2>(.*?)</h2>", page)]
    assert SHOWN.replace("/", "") in headings
    cells = [html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", page)]
    assert SHOWN in cells, "the kind of a defect, and why a run failed"


def test_spread() -> None:
    assert spread([]) == "–"
    assert spread([None, 0.5]) == "0.5000"
    assert spread([0.4, 0.6], 2) == "0.50 ± 0.14"


def image_file(width: int, height: int) -> ImageFile:
    return ImageFile(Path("image.png"), "0" * 64, width, height, grey=True)


def test_a_fine_scratch_stays_in_the_mask_and_in_its_place(tmp_path: Path) -> None:
    mask = np.zeros((1000, 2000), np.uint8)
    mask[500, 100:1900] = 1  # one pixel, and a class number instead of 255
    write(tmp_path / "mask.png", mask)
    found = read_mask(Sample(Path("image.png"), "scratch", tmp_path / "mask.png"), image_file(2000, 1000))
    assert found is not None
    assert found.shape == (128, 256)
    assert set(np.flatnonzero(found.any(axis=1))) == {64}
    assert 225 <= np.count_nonzero(found[64]) <= 235


def test_masks_that_say_nothing(tmp_path: Path) -> None:
    file = image_file(100, 80)
    write(tmp_path / "empty.png", np.zeros((80, 100), np.uint8))
    write(tmp_path / "other.png", np.ones((80, 200), np.uint8))
    assert read_mask(Sample(Path("a"), "dent", tmp_path / "empty.png"), file) is None
    assert read_mask(Sample(Path("a"), "dent", None), file) is None
    good = read_mask(Sample(Path("a")), file)
    assert good is not None
    assert not good.any()
    with pytest.raises(DatasetError, match=r"200x80, its image .* is 100x80"):
        read_mask(Sample(Path("a"), "dent", tmp_path / "other.png"), file)


def test_a_map_is_brought_to_the_place_of_the_image() -> None:
    spec = InputSpec(width=320, height=320)
    file = image_file(400, 200)  # lies in the middle of the input, 80 px of border above and below
    anomaly_map = np.zeros((20, 20), np.float32)
    anomaly_map[9, 4] = 1  # in the input around (72, 152): in the image (90, 90)
    assert evaluation_size(file) == (256, 128)
    on_image = map_on_image(anomaly_map, place(400, 200, spec), (400, 200))
    row, column = np.unravel_index(on_image.argmax(), on_image.shape)
    assert abs(column - 90) <= 3
    assert abs(row - 90) <= 3
