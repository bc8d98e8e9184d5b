"""An engine whose kinds are learned anew: in a process without PyTorch, and nothing but what rejects are called."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.bundle.kinds import UNKNOWN_KIND
from engines.bundle.reading import read_bundle
from engines.engine import open_engine
from engines.errors import TrainingError
from engines.training.kinds.dossier import entries_of
from engines.training.kinds.fit import Examples
from engines.training.kinds.kept import FILE, kept_of, read_kept, write_kept
from engines.training.kinds.relearn import LabelledImage, Relearned, relearn
from tests.bench.engines.kinds_of_defects import KINDS, STRANGER, defective, write_images, write_ring_engine
from tests.bench.engines.small_engine import write_small_engine
from tests.bench.made_once import made_once

pytestmark = pytest.mark.system

PROGRAM = """
import sys
sys.modules["torch"] = None  # whoever imports it gets an ImportError
from engines.training.kinds.__main__ import main
sys.exit(main(sys.argv[1:]))
"""
LABELS = 8


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared: nobody changes it."""
    return made_once(tmp_path_factory, "ring-engine", lambda folder: write_ring_engine(folder / "engine"))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Sequence[Path]]:
    folder = tmp_path_factory.mktemp("labelled")
    return {kind: write_images(folder, kind, LABELS, 1000) for kind in KINDS}


def labels(pictures: Mapping[str, Sequence[Path]], *kinds: str, count: int = LABELS) -> list[LabelledImage]:
    """The first images of each kind; each is a part on record."""
    return [
        LabelledImage(file, kind, f"s1/{number + 100 * KINDS.index(kind)}/top")
        for kind in kinds
        for number, file in enumerate(pictures[kind][:count])
    ]


def on_record(images: Sequence[LabelledImage]) -> dict[str, str]:
    return {one.part.rpartition("/")[0]: one.kind for one in images}


def learned(engine: Path, images: Sequence[LabelledImage], output: Path, **how: Any) -> Relearned:
    how = {"on_record": on_record(images), **how}
    return relearn(engine, images, output, cache=output.parent / "looks", threads=1, **how)


def named(engine: Path, kind: str, seeds: range) -> list[str]:
    """What the engine calls new defects of a kind."""
    with open_engine(engine) as opened:
        return [opened.score(defective(kind, seed)).kind for seed in seeds]


def test_a_third_kind_is_named_that_was_never_taught_and_a_stranger_is_unknown(
    taught: Path, pictures: Mapping[str, Sequence[Path]], tmp_path: Path
) -> None:
    two = learned(taught, labels(pictures, *KINDS[:2]), tmp_path / "two")
    assert two.found.record.names == KINDS[:2]
    three = learned(tmp_path / "two", labels(pictures, *KINDS), tmp_path / "three")
    assert three.found.record.names == KINDS
    assert three.found.record.labelled == (LABELS,) * 3
    assert (three.labelled, three.from_teaching, three.dropped) == (24, 0, ())
    for kind in KINDS:
        found = named(tmp_path / "three", kind, range(2000, 2010))
        assert found.count(kind) >= 5, (kind, found)
        assert set(found) <= {kind, UNKNOWN_KIND}, found
    strangers = named(tmp_path / "three", STRANGER, range(2000, 2010))
    assert strangers.count(UNKNOWN_KIND) >= 5, strangers
    assert [entry.from_engine_id for entry in entries_of(tmp_path / "three")] == [
        read_bundle(taught).manifest.engine_id,
        two.manifest.engine_id,
    ]


def test_scores_maps_and_limits_are_those_of_before_in_every_precision(
    taught: Path, pictures: Mapping[str, Sequence[Path]], tmp_path: Path
) -> None:
    done = learned(taught, labels(pictures, *KINDS), tmp_path / "new")
    before, after = read_bundle(taught), read_bundle(tmp_path / "new")
    changed = {"engine_id", "created", "kinds", "model", "variants"}
    assert {name for name in type(before.manifest).model_fields
            if getattr(before.manifest, name) != getattr(after.manifest, name)} == changed  # fmt: skip
    assert after.variants.keys() == {"fp16"}
    assert after.variants["fp16"].parity == before.variants["fp16"].parity
    assert all(np.array_equal(*pair) for pair in zip(before.sample, after.sample, strict=True))
    assert done.largest_difference < 1e-5
    with open_engine(taught) as old, open_engine(tmp_path / "new") as new:
        for seed in range(3000, 3004):
            image = defective("stain", seed)
            first, second = old.score(image), new.score(image)
            assert abs(first.image_score - second.image_score) <= 1e-5
            assert np.abs(first.anomaly_map - second.anomaly_map).max() <= 1e-5
            assert (first.kind, second.kind != "") == ("", True)


def test_a_process_without_pytorch_learns_kinds_and_reports_as_lines_of_json(
    taught: Path, pictures: Mapping[str, Sequence[Path]], tmp_path: Path
) -> None:
    images = labels(pictures, *KINDS, count=3)
    content = {"images": [{"path": str(one.path), "kind": one.kind, "part": one.part} for one in images]}
    (tmp_path / "labels.json").write_text(json.dumps({**content, "on_record": on_record(images)}))
    words = {"engine": taught, "labels": tmp_path / "labels.json", "output": tmp_path / "new", "cache": tmp_path / "c"}
    command = [sys.executable, "-c", PROGRAM, *(f"--{name}={value}" for name, value in words.items())]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=50)
    *signs, last = [json.loads(line) for line in ended.stdout.splitlines()]
    assert (ended.returncode, last["event"]) == (0, "done"), ended.stdout + ended.stderr
    assert last["summary"]["kinds"] == dict.fromkeys(KINDS, 3)
    assert {"looks", "kinds"} == {one["step"] for one in signs}
    again = subprocess.run([*command[:-1], f"--cache={tmp_path / 'c'}"], capture_output=True, text=True, timeout=50)
    assert again.returncode == 2
    assert "exists already" in json.loads(again.stdout.splitlines()[-1])["message"]


def test_what_an_image_looks_like_is_computed_once(
    taught: Path, pictures: Mapping[str, Sequence[Path]], tmp_path: Path
) -> None:
    first = learned(taught, labels(pictures, *KINDS[:2]), tmp_path / "first")
    assert first.manifest.kinds is not None
    kept = sorted((tmp_path / "looks").glob("*.npz"))
    assert len(kept) == 2 * LABELS
    written = [file.stat().st_ino for file in kept]
    kept[0].write_bytes(b"damaged")
    learned(tmp_path / "first", labels(pictures, *KINDS), tmp_path / "second")
    after = sorted((tmp_path / "looks").glob("*.npz"))
    assert len(after) == 3 * LABELS, "the graph with kinds scores as the one before: the looks hold"
    assert [file.stat().st_ino for file in kept][1:] == written[1:]
    assert kept[0].stat().st_ino != written[0], "what is damaged is made anew"


def test_what_cannot_be_learned_is_refused_with_what_to_do(
    taught: Path, pictures: Mapping[str, Sequence[Path]], tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=r"1 kinds .*\(scratch \(8\)\), at least 2 are needed: review"):
        learned(taught, labels(pictures, "scratch"), tmp_path / "new")
    with pytest.raises(TrainingError, match="0 kinds"):
        learned(taught, [], tmp_path / "new")
    nonsense = tmp_path / "nonsense.png"
    nonsense.write_bytes(b"no picture")
    odd = [LabelledImage(nonsense, "dent"), LabelledImage(tmp_path / "gone.png", "dent"),
           LabelledImage(pictures["stain"][0], UNKNOWN_KIND)]  # fmt: skip
    with pytest.raises(TrainingError, match="1 kinds"):
        learned(taught, [*labels(pictures, "scratch"), *odd], tmp_path / "new")
    done = learned(taught, [*labels(pictures, *KINDS[:2]), *odd], tmp_path / "new")
    assert sum(done.left_out.values()) == 3
    assert any("gone.png" in why for why in done.left_out)
    with pytest.raises(TrainingError, match=r"nothing is new: the engine has learned these 16 labelled images"):
        learned(tmp_path / "new", labels(pictures, *KINDS[:2]), tmp_path / "again")
    small = write_small_engine(tmp_path / "small", width=96, height=96)
    with pytest.raises(TrainingError, match="memory and differnet"):
        learned(small, labels(pictures, *KINDS), tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_kinds_of_the_teaching_are_kept_until_somebody_drops_them(
    taught: Path, pictures: Mapping[str, Sequence[Path]], tmp_path: Path
) -> None:
    """As a teaching leaves it: what it was shown from a folder is on no record of the station."""
    learned(taught, [LabelledImage(one.path, one.kind) for one in labels(pictures, *KINDS[:2])], tmp_path / "taught")
    on_line = labels(pictures, "scratch", "weave")
    done = learned(tmp_path / "taught", on_line, tmp_path / "more")
    assert dict(zip(done.found.record.names, done.found.record.labelled, strict=True)) == dict.fromkeys(KINDS, LABELS)
    assert (done.labelled, done.from_teaching) == (2 * LABELS, LABELS), "the same scratches count once"
    dropped = learned(tmp_path / "taught", on_line, tmp_path / "fewer", labels_only=True)
    assert (dropped.found.record.names, dropped.dropped) == (("scratch", "weave"), ("stain",))
    lost = Path(shutil.copytree(tmp_path / "taught", tmp_path / "lost"))
    (lost / "dossier" / FILE).unlink()
    with pytest.raises(TrainingError, match=r"the engine knows stain, of which no labelled image .* --labels-only"):
        learned(lost, on_line, tmp_path / "again")
    (lost / "dossier" / FILE).write_bytes(b"PK")
    with pytest.raises(TrainingError, match="cannot be used"):
        learned(lost, on_line, tmp_path / "again")


def test_a_label_holds_when_its_image_is_gone_and_is_forgotten_when_it_is_withdrawn(
    taught: Path, pictures: Mapping[str, Sequence[Path]], tmp_path: Path
) -> None:
    everything = labels(pictures, *KINDS)
    learned(taught, everything, tmp_path / "first")
    there = labels(pictures, *KINDS[:2])
    record = on_record(everything)
    record.pop("s1/200")
    record["s1/201"] = "scratch"
    done = learned(tmp_path / "first", there, tmp_path / "second", on_record=record)
    assert dict(zip(done.found.record.names, done.found.record.labelled, strict=True)) == {
        "scratch": LABELS + 1,
        "stain": LABELS,
        "weave": LABELS - 2,
    }


def test_kept_looks_are_read_as_untrusted(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    examples = Examples(rng.normal(size=(3, 5)), ("a", "b", "b"), np.array([0, 1, 1]), np.arange(3))
    file = tmp_path / FILE
    assert read_kept(file, 5) is None
    write_kept(file, kept_of(examples, ["x" * 64] * 3, ["s/1/top", "", ""]))
    kept = read_kept(file, 5)
    assert kept is not None
    assert (kept.names, kept.parts, kept.groups.tolist()) == (("a", "b", "b"), ("s/1/top", "", ""), [0, 1, 1])
    with pytest.raises(TrainingError, match="this engine has 6 numbers"):
        read_kept(file, 6)
    for name, value in (("looks", np.full((3, 5), np.nan, np.float32)), ("names", np.array([1, 2, 3])),
                        ("groups", np.array([0])), ("looks", np.array([None]))):  # fmt: skip
        arrays = {"looks": kept.looks, "names": np.array(kept.names), "groups": kept.groups,
                  "images": np.array(kept.images), "parts": np.array(kept.parts)}  # fmt: skip
        np.savez(file, **{**arrays, name: value})  # type: ignore[arg-type]  # its stub takes names for options
        with pytest.raises(TrainingError, match="cannot be used"):
            read_kept(file, 5)
    file.unlink()
    file.symlink_to("/etc/passwd")
    with pytest.raises(TrainingError, match="a link"):
        read_kept(file, 5)


def test_the_dossier_says_what_the_engine_knows_now_and_that_of_before_stays(
    taught: Path, pictures: Mapping[str, Sequence[Path]], tmp_path: Path
) -> None:
    engine = Path(shutil.copytree(taught, tmp_path / "engine"))
    before = {
        "dossier.json": '{"kinds": null, "model_sha256": "x", "seed": 3}',
        "dossier.html": 'a<div id="kinds"></div>b',
    }
    (engine / "dossier").mkdir()
    for name, text in before.items():
        (engine / "dossier" / name).write_text(text)
    images = [
        LabelledImage(file, kind) for kind, of in (("<b>", "scratch"), ("stain", "stain")) for file in pictures[of]
    ]
    done = learned(engine, images, tmp_path / "first")
    data = json.loads((tmp_path / "first" / "dossier" / "dossier.json").read_text())
    assert (data["kinds"]["names"], data["seed"]) == (["<b>", "stain"], 3)
    assert data["model_sha256"] == done.manifest.model.sha256
    page = (tmp_path / "first" / "dossier" / "dossier.html").read_text()
    assert page.startswith('a<div id="kinds"><p>Kinds of defect: &lt;b&gt; (8), stain (8): suggested')
    assert page.endswith("</p></div>b")
    more = [*images, *(LabelledImage(file, "weave") for file in pictures["weave"])]
    learned(tmp_path / "first", more, tmp_path / "second")
    page = (tmp_path / "second" / "dossier" / "dossier.html").read_text()
    assert page.count("Kinds of defect") == 1
    assert "weave (8)" in page
    assert {name: (engine / "dossier" / name).read_text() for name in before} == before
