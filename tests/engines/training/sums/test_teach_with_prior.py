"""From the engine of some sites to the prior of another one, through the commands and masked, as people do it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from engines.bundle.manifest import InputSpec
from engines.bundle.reading import read_manifest
from engines.location.location import Location
from engines.store.store import EngineStore
from engines.training.__main__ import main as teach_main
from engines.training.sums.exporting import key_of_sums, sums_of_engine
from engines.training.sums.kept import read_sums, write_sums
from station.commands.main import main
from tests.bench.engines.pictures import write_rings

pytestmark = pytest.mark.system

COUNT, FEW = 24, 20
STATION = '[station]\nname = "ST-04"\n[cameras.top]\nproducer = "simtl"\n[plc]\nrole = "off"\n'


def teach(images: Path, engine: Path, *more: str) -> int:
    return teach_main(
        ["--images", str(images), "--output", str(engine), "--steps", "0", "--threads", "1", "--defect-trials", "0",
         "--reference-pictures", "0", "--location", "none", "--refine", "none", "--progress", "none", *more]
    )  # fmt: skip


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An engine of another site."""
    folder = tmp_path_factory.mktemp("theirs")
    write_rings(folder / "images", COUNT)
    assert teach(folder / "images", folder / "engine") == 0
    return folder / "engine"


def test_masked_sums_from_station_to_station(theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three stations with the same engine: their sum is three times the one that is exported as it is."""

    def run(*words: object) -> str:
        capsys.readouterr()
        assert main(["fleet", "sums", *(str(word) for word in words)]) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    def refused(*words: object) -> str:
        capsys.readouterr()
        assert main(["fleet", "sums", *(str(word) for word in words)]) == 2
        return capsys.readouterr().err

    EngineStore(tmp_path / "engines" / "cover").add(theirs, why="taught")
    config = tmp_path / "station.toml"
    config.write_text(f'{STATION}[engine]\nstore = "engines"\nproduct = "cover"\n')
    export = ("export", "latest", "--config", config, "--output")
    cards = [tmp_path / f"{name}.card" for name in "ABC"]
    shares = [tmp_path / f"{name}.share.npz" for name in "ABC"]
    for card in cards:
        made = json.loads(run("key", card.stem, "--card", card, "--secret", card.with_suffix(".secret"), "--json"))
        assert made["site"] == card.stem
    found = json.loads(run(*export, tmp_path / "plain", "--json"))
    assert (found["images"], found["sites"], found["masked"]) == (COUNT, 1, False)
    for card, share in zip(cards, shares, strict=True):
        secret = card.with_suffix(".secret")
        assert "a masked share of 3 sites" in run(*export, share, "--secret", secret, "--cards", *cards)
        assert not secret.exists()  # another share under the same masks would say too much
    assert "exists already" in refused(*export, shares[0])
    assert "masks need both" in refused(*export, tmp_path / "other", "--cards", *cards)
    assert "1 of 3 shares are missing (C)" in refused(
        "combine", *shares[:2], "--output", tmp_path / "two", "--cards", *cards
    )
    assert not (tmp_path / "two").exists()
    assert "sites: 3" in run("combine", *shares, "--output", tmp_path / "all", "--cards", *cards)
    masked, plain = read_sums(tmp_path / "all"), read_sums(tmp_path / "plain")
    assert masked.images == 3 * COUNT
    assert abs(masked.values - 3 * plain.values).max() <= 1e-9 * abs(masked.values).max()


def test_what_makes_other_features_makes_another_key() -> None:
    spec = InputSpec(width=256, height=256, fit="stretch")
    ignored = Location(ignore=(((0, 0), (1, 0), (1, 1)),), pictures={"fill": np.zeros((256, 256, 3), np.uint8)})
    keys = [
        key_of_sums("spatial 3 lite0", spec, Location(), None),
        key_of_sums("spatial 3 lite1", spec, Location(), None),
        key_of_sums("spatial 3 lite0", spec.model_copy(update={"width": 288}), Location(), None),
        key_of_sums("spatial 3 lite0", spec, ignored, None),
        key_of_sums("spatial 3 lite0", spec, Location(), "a way to look at heights"),
    ]
    assert len(set(keys)) == len(keys)


def test_a_teaching_of_few_images_with_a_prior(
    theirs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prior = str(tmp_path / "prior.sums.npz")
    write_sums(Path(prior), sums_of_engine(theirs))
    write_rings(tmp_path / "few", FEW, first_seed=7000)
    assert teach(tmp_path / "few", tmp_path / "helped", "--prior", prior) == 0
    assert read_manifest(tmp_path / "helped").calibration.holdout_count == FEW  # limits are of the site's own images
    dossier = (tmp_path / "helped" / "dossier" / "dossier.json").read_text()
    assert f"Learned with a prior: sums of {COUNT} images, sites: 1. Its weight in images: " in dossier
    capsys.readouterr()
    for more, says in (
        (("--backbone", "lite1"), "another backbone, input, way to find the part"),
        (("--earlier", str(theirs / "dossier" / "blocks")), "not both"),
        (("--detector", "memory"), "another backbone, input, way to find the part"),
    ):
        assert teach(tmp_path / "few", tmp_path / "other", "--prior", prior, *more) == 2
        assert says in capsys.readouterr().err
        assert not (tmp_path / "other").exists()
