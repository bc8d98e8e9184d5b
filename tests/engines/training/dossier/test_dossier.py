"""The dossier: complete as JSON, harmless and whole as a page, bounded in pictures, usable to take removals back."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from engines.bundle.files import DOSSIER_FOLDER
from engines.bundle.manifest import KnownDefectsRecord, PossibleVariants
from engines.bundle.reading import read_bundle
from engines.bundle.writing import write_bundle
from engines.errors import BundleError, TrainingError
from engines.training.as_json import plain_name
from engines.training.dossier.pictures import PICTURE_PX
from engines.training.dossier.schema import Dossier
from engines.training.dossier.selection import MAX_NEAR, MAX_REMOVED, pictured
from engines.training.dossier.write import write_dossier
from engines.training.fitting.crossfit import CrossFit
from engines.training.images.image_names import read_names
from tests.bench.engines.small_engine import write_small_engine
from tests.bench.engines.small_training import SmallTraining

HOSTILE = (
    "<script>alert(1)<!--.png",
    "\"><img src=x onerror=alert(1)> '.png",
    "<textarea><style><title>&amp;{{ 7 * 7 }}{% x %}.png",
    "line\nend\r.png",
    "ünï-\u202egnp.cod",
    "# not a comment.png",
    " blanks .png ",
    "back\\slash.png",
)


class Page(HTMLParser):
    """What a page consists of; every element must be closed where it was opened."""

    VOID = frozenset({"meta", "img", "input", "br", "link"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def write(training: SmallTraining, folder: Path) -> tuple[Dossier, Page]:
    """Write it all, check that JSON and page are whole, and return both as read back."""
    dossier = training.collect()
    maps = {image: training.anomaly_map(image) for image in pictured(dossier)}
    write_dossier(folder, dossier, training.image, maps, weights=training.weights)
    read = Dossier.model_validate_json((folder / "dossier.json").read_bytes())
    assert read == dossier
    page = Page((folder / "dossier.html").read_text("utf-8"))
    for reference in [image["src"] for image in page.all("img")] + [link.get("href", "#") for link in page.all("a")]:
        assert reference is not None
        assert reference.startswith("#") or (folder / reference).is_file(), reference
    assert "http:" not in page.text + str(page.elements)
    assert "https:" not in page.text + str(page.elements)
    return dossier, page


def test_everything_is_listed_and_pictured(tmp_path: Path) -> None:
    training = SmallTraining(known_good=(11,))
    dossier, page = write(training, tmp_path / "dossier")
    assert [image.id for image in dossier.images] == list(range(60))
    assert {image.id for image in dossier.images if image.fate == "removed"} == set(training.dirty)
    assert {image.id: image.removed_in_round for image in dossier.images if image.fate == "removed"} == {
        40: 1,
        18: 1,
        17: 2,
        3: 2,
    }
    worst = dossier.images[40]
    assert (worst.removal_score, worst.final_score) == (23.0, 23.0)
    assert worst.removal_shown is not None
    assert worst.removal_shown > 0.5
    assert [image.id for image in dossier.images if image.protected] == [11]
    assert dossier.images[5].masked_share == pytest.approx(36 / 400)
    assert all((image.held_out_score is None) == (image.fate == "removed") for image in dossier.images)
    assert dossier.options["refinement"] == {"factor": 3.0, "known_good": [2]}
    # Thumbnail and map of every removed image, and a box to tick wherever it appears.
    sources = [image["src"] for image in page.all("img")]
    boxes = [box["data-name"] for box in page.all("input")]
    for image in training.dirty:
        assert f"pictures/{image:06}.jpg" in sources
        assert f"pictures/{image:06}-map.jpg" in sources
        assert f"{image:04}.png" in boxes
    assert "0011.png" not in boxes
    assert "--images 'folder with blanks' --output engine-2 --veto veto.txt" in page.text
    assert {"plots/convergence.svg", "plots/scores.svg", "plots/calibration.svg"} < set(sources)


def test_a_map_picture_shows_the_defect_and_what_was_not_learned(tmp_path: Path) -> None:
    training = SmallTraining()
    write(training, tmp_path)
    plain, heat = (cv2.imread(str(tmp_path / "pictures" / f"000005{end}.jpg")) for end in ("", "-map"))
    assert plain is not None
    assert heat is not None
    cell = training.image(5).shape[0] // 20
    difference = np.abs(heat.astype(int) - plain.astype(int)).mean(axis=2)
    assert difference[4 * cell : 7 * cell, 7 * cell : 9 * cell].mean() > 25
    assert difference[12 * cell :].mean() < 15
    # The bright line, between two dark ones, along the upper edge of the masked cells, left of the heat.
    edge = (slice(2 * cell - 2, 2 * cell + 3), slice(5 * cell + 1, 6 * cell - 2))
    assert heat[edge].max(axis=0).mean() > plain[edge].max(axis=0).mean() + 100


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    training = SmallTraining(
        dirty=range(len(HOSTILE)),
        names=lambda index: HOSTILE[index] if index < len(HOSTILE) else f"{index}.png",
    )
    closing = "</script></style></textarea></p>"
    training = replace(training, extra={"warnings": (closing,), "command": ("station", closing, HOSTILE[1])})
    dossier, page = write(training, tmp_path)
    assert page.text.count(closing) == 3  # the warning and two commands
    assert len(page.all("script")) == 2, "ours alone: pictures that enlarge, and the veto"
    assert len(page.all("style")) == 1
    assert not [attributes for _, attributes in page.elements if any(name.startswith("on") for name in attributes)]
    assert {box["data-name"] for box in page.all("input")} == {plain_name(name) for name in HOSTILE}
    assert "{{ 7 * 7 }}" in page.text
    assert all(image.name.isprintable() for image in dossier.images)
    names = [file.path.name for file in training.dataset.files]
    uncommented = "\n".join(
        line.removeprefix("#") for line in (tmp_path / "removed.txt").read_text("utf-8").splitlines()[2:]
    )
    veto = tmp_path / "veto.txt"
    veto.write_text(uncommented, "utf-8")
    assert read_names(veto, names, "veto file") == set(range(len(HOSTILE)))


@settings(max_examples=50)
@example(["bytes-\udcff.png", "bytes-\\udcff.png", "#", " ", "a ", "\n"])
@given(st.lists(st.text(min_size=1).filter(lambda name: "\0" not in name), unique=True))
def test_plain_names_are_single_lines_and_tell_names_apart(names: list[str]) -> None:
    spelled = [plain_name(name) for name in names]
    assert len(set(spelled)) == len(names)
    for line in spelled:
        assert line.isprintable()
        assert line == line.strip()
        assert not line.startswith("#")
        line.encode("utf-8")


def test_location_is_reported_and_shown(tmp_path: Path) -> None:
    dossier = SmallTraining(extra={"location": {"method": "blob", "left out": {"#1<b>.png": "no part"}}}).collect()
    write_dossier(tmp_path, dossier, SmallTraining().image, {}, location_sheet=np.zeros((30, 40, 3), np.uint8))
    page = Page((tmp_path / "dossier.html").read_text("utf-8"))
    assert "pictures/location.jpg" in [image["src"] for image in page.all("img")]
    assert (tmp_path / "pictures" / "location.jpg").is_file()
    assert "\\x231<b>.png" in page.text


def test_images_that_look_alike_stand_on_top_with_what_they_cost_and_how_to_answer(tmp_path: Path) -> None:
    found = PossibleVariants(images=(2,), rejected_share_if_good=0.123, review_share_if_good=0.2)
    _, page = write(SmallTraining(extra={"possible_variants": found}), tmp_path)
    text = page.text
    assert text.index("Look at these") < text.index("Images that look alike") < text.index("Left out: 4 of 60 images")
    assert "Somebody has to say what they are before it may be used." in text
    assert "up to 12.3% of the good parts are rejected, and up to 20.0% rejected or in review" in text
    assert "--output engine-2 --variants keep" in text
    assert "looks like the others of group 1" in (tmp_path / "removed.txt").read_text()


def test_images_that_look_alike_and_were_learned_ask_nothing(tmp_path: Path) -> None:
    found = PossibleVariants(images=(2,), answer="keep", rejected_share_if_good=0.01, review_share_if_good=0.1)
    _, page = write(SmallTraining(extra={"possible_variants": found}), tmp_path)
    assert "Somebody called them good parts: they were learned" in page.text
    assert "--variants" not in page.text


def test_nothing_removed(tmp_path: Path) -> None:
    dossier, page = write(SmallTraining(dirty=(), masked=()), tmp_path)
    assert dossier.refinement.removed == ()
    assert page.all("input") == []
    assert len(page.all("script")) == 1, "pictures that enlarge"
    assert "May be used" in page.text
    assert "all images look like one product" in page.text


def test_no_refinement_at_all(tmp_path: Path) -> None:
    """No rounds, no weights, no limit: what the method `none` leaves."""
    training = SmallTraining(dirty=())
    refinement = replace(training.refinement, method="none", rounds=(), weights=None, final_limit=float("inf"))
    dossier, page = write(replace(training, extra={"refinement": refinement}), tmp_path)
    assert dossier.refinement.final_limit is None
    assert {image.final_shown for image in dossier.images} == {None}
    assert "all images were learned" in page.text


def test_all_scores_at_the_limit(tmp_path: Path) -> None:
    """Median and limit coincide: there is hardly a scale left, but a dossier."""
    training = SmallTraining(dirty=())
    same = np.full(training.count, training.limit)
    rounds = (replace(training.refinement.rounds[0], scores=same),)
    refinement = replace(training.refinement, rounds=rounds, final_scores=same)
    dossier, _ = write(replace(training, extra={"refinement": refinement}), tmp_path)
    assert {image.final_shown for image in dossier.images} == {0.5}


def test_images_that_came_back_and_known_bad_ones(tmp_path: Path) -> None:
    training = SmallTraining(dirty=(3, 17))
    first, second, third = training.refinement.rounds
    # 17 left in the first round, 20 too but came back; 3 was known to be bad and never scored.
    rounds = (
        replace(first, removed=np.array([17, 20])),
        replace(second, removed=np.array([], np.intp), returned=np.array([20])),
        third,
    )
    refinement = replace(training.refinement, rounds=rounds, removed=np.array([3, 17]))
    dossier, page = write(replace(training, extra={"refinement": refinement, "known_bad": (3,)}), tmp_path)
    assert [(dossier.images[i].fate, dossier.images[i].removed_in_round) for i in (3, 17, 20)] == [
        ("removed", None),
        ("removed", 1),
        ("kept", None),
    ]
    assert "You called them bad: 1 images" in page.text


def test_two_thousand_images_are_bounded(tmp_path: Path) -> None:
    training = SmallTraining(count=2000, dirty=range(0, 1200, 2), masked=range(1, 1999, 2))
    read: list[int] = []

    class Counting(SmallTraining):
        def image(self, index: int) -> NDArray[np.uint8]:
            read.append(index)
            return np.full((40, 90), index % 256, np.uint8)

    dossier, page = write(Counting(training.count, training.dirty, masked=training.masked), tmp_path)
    assert len(dossier.images) == 2000
    assert len(read) == len(set(read)) <= MAX_REMOVED + 4 * MAX_NEAR
    assert "270 more, without a picture" in page.text
    assert len({box["data-name"] for box in page.all("input")}) == 600
    assert sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file()) < 4 << 20


def test_suspects_have_pictures_whatever_else_left_in_their_round(tmp_path: Path) -> None:
    training = SmallTraining(count=400, dirty=range(0, 300, 2))
    plain = training.collect()
    last = plain.refinement.removed[-20:]
    suspected = plain.model_copy(
        update={
            "refinement": plain.refinement.model_copy(update={"suspects": last}),
            "suspects": KnownDefectsRecord(
                labelled=20, masks=0, weight=2.0, auroc_before=0.9, auroc_after=0.95, passed_before=4, passed_after=2
            ),
        }
    )
    assert not set(last) <= set(pictured(plain))
    assert set(last) <= set(pictured(suspected))
    maps = {image: training.anomaly_map(image) for image in pictured(suspected)}
    write_dossier(tmp_path, suspected, training.image, maps, weights=training.weights)
    sources = [image["src"] for image in Page((tmp_path / "dossier.html").read_text("utf-8")).all("img")]
    assert all(f"pictures/{image:06}.jpg" in sources for image in last)
    none = suspected.model_copy(update={"suspects": None})
    assert pictured(none) == pictured(plain), "where they change no score nobody is asked to look at them"


def test_pictures_of_large_and_elongated_images_are_small(tmp_path: Path) -> None:
    class Large(SmallTraining):
        def image(self, index: int) -> NDArray[np.uint8]:
            return np.zeros((2000, 500, 3), np.uint8)

    write(Large(), tmp_path)
    sizes = {cv2.imread(str(file)).shape[:2] for file in (tmp_path / "pictures").iterdir()}  # type: ignore[union-attr]
    assert sizes == {(PICTURE_PX, PICTURE_PX // 4)}


def test_the_same_training_gives_the_same_page(tmp_path: Path) -> None:
    dossier = SmallTraining().collect()
    for name in ("a", "b"):
        write_dossier(tmp_path / name, dossier, SmallTraining().image, {})
    files = [{file.name: file.read_bytes() for file in (tmp_path / n).rglob("*") if file.is_file()} for n in "ab"]
    assert files[0] == files[1]


def test_results_that_do_not_belong_together_are_refused() -> None:
    training = SmallTraining()
    refinement, scores = training.refinement, training.scores[training.refinement.kept]
    with pytest.raises(TrainingError, match="different trainings"):
        SmallTraining(extra={"refinement": replace(refinement, kept=refinement.kept[1:])}).collect()
    maps = scores.reshape(-1, 1, 1).astype(np.float32)
    with pytest.raises(TrainingError, match="different trainings"):
        SmallTraining(extra={"held_out": CrossFit(scores[1:], maps, groups=np.arange(1))}).collect()
    first = replace(refinement.rounds[0], indices=np.arange(30), scores=training.scores[:30])
    with pytest.raises(TrainingError, match="round 1 removed images that it did not score"):
        SmallTraining(extra={"refinement": replace(refinement, rounds=(first,))}).collect()
    broken = np.where(np.arange(60) == 7, np.nan, refinement.final_scores)
    with pytest.raises(TrainingError, match="final score is not finite"):
        SmallTraining(extra={"refinement": replace(refinement, final_scores=broken)}).collect()
    with pytest.raises(TrainingError, match="a mapping or a dataclass"):
        SmallTraining(extra={"options": 3}).collect()


def test_a_folder_that_is_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "something").touch()
    with pytest.raises(TrainingError, match="not empty"):
        write_dossier(tmp_path, SmallTraining().collect(), SmallTraining().image, {})


def test_it_appears_with_the_engine_and_leaves_its_id_alone(tmp_path: Path) -> None:
    plain = read_bundle(write_small_engine(tmp_path / "plain", width=32, height=32))
    write_dossier(tmp_path / "made", SmallTraining().collect(), SmallTraining().image, {})
    parts: dict[str, Any] = {"draft": plain.manifest, "model": plain.model, "golden": plain.golden}
    write_bundle(tmp_path / "with", **parts, dossier=tmp_path / "made")
    assert read_bundle(tmp_path / "with").manifest == plain.manifest
    assert Dossier.model_validate_json((tmp_path / "with" / DOSSIER_FOLDER / "dossier.json").read_bytes())
    with pytest.raises(BundleError, match="cannot write engine"):
        write_bundle(tmp_path / "without", **parts, dossier=tmp_path / "missing")
    assert {path.name for path in tmp_path.iterdir()} == {"plain", "made", "with"}


def test_the_schema_is_strict(tmp_path: Path) -> None:
    content = json.loads(SmallTraining().collect().model_dump_json())
    for change in ({"schema_version": 2}, {"new": 1}, {"seed": "0"}, {"duration_s": float("nan")}):
        with pytest.raises(ValidationError):
            Dossier.model_validate_json(json.dumps(content | change))


def test_veto_files(tmp_path: Path) -> None:
    file, names = tmp_path / "veto.txt", ["a.png", "b.png", "c d.png"]
    file.write_bytes(b"\xef\xbb\xbf# comment\r\n\r\n  c d.png \r\na.png\r\na.png\r\n")  # as Windows' editor writes it
    assert read_names(file, names, "veto file") == {0, 2}
    file.write_text("a.png\nx.png\n")
    with pytest.raises(TrainingError, match=r"no image of the data set is called 'x\.png'"):
        read_names(file, names, "veto file")
    file.write_bytes("größe.png\n".encode("latin-1"))
    with pytest.raises(TrainingError, match="UTF-8"):
        read_names(file, names, "veto file")
    with pytest.raises(TrainingError, match="No such file"):
        read_names(tmp_path / "none", names, "veto file")
