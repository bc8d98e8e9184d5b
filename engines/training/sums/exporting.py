"""From the blocks of an engine to the sums of its site, and from a file of sums to the prior of a teaching."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from engines import said
from engines.bundle.files import DOSSIER_FOLDER
from engines.bundle.manifest import InputSpec
from engines.bundle.reading import read_manifest, read_pictures
from engines.detectors.backbones.loading import DEFAULT_BACKBONE
from engines.detectors.catalogue import DETECTORS
from engines.detectors.sums import Sums, added
from engines.errors import TrainingError
from engines.location.location import Location
from engines.training.blocks.earlier import Weighed, sums_of
from engines.training.blocks.kept import FOLDER, read_blocks
from engines.training.images.features import key_of_features
from engines.training.learn import Learned
from engines.training.sums.kept import SiteSums, read_sums, site_sums


def key_of_sums(detector_key: str, spec: InputSpec, location: Location, depth: str | None) -> str:
    """Names what sums of two sites must share to add, 64 hex digits: backbone, input, how the part is found, and how
    images were made of heights (`depth`; None: they were not).

    Not where each site finds it: a template is a picture of a site's own part.
    """
    parts = ["sums", detector_key, spec.model_dump_json(), location.spec.method, repr(location.ignore), depth or ""]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def sums_of_engine(engine: Path, backbone: str = DEFAULT_BACKBONE) -> SiteSums:
    """Of everything that an engine has learned, from its blocks.

    Raises:
        EngineError: there is no engine.
        TrainingError: it has no blocks, or learned with another backbone.
    """
    manifest = read_manifest(engine)
    if manifest.detector not in DETECTORS:
        raise TrainingError(f'engine "{engine}" was taught by "{manifest.detector}", which this software does not know')
    detector = DETECTORS[manifest.detector](manifest.input, backbone)
    if not detector.has_sums:
        raise TrainingError(f'engine "{engine}": {manifest.detector} has no closed form of sums, only spatial has')
    location = Location(manifest.location, ignore=manifest.ignore, pictures=read_pictures(engine, manifest))
    detector_key = f"{manifest.detector} {detector.features_version} {detector.backbone.key}"
    blocks = read_blocks(engine / DOSSIER_FOLDER / FOLDER, key_of_features(detector_key, manifest.input, location))
    whole: Sums | None = None
    for one in blocks:
        whole = added(whole, sums_of(detector, one.block), one.weight)
    if whole is None:
        raise TrainingError(f'engine "{engine}" has no blocks: it learned more than 1,000 images; teach from fewer')
    images = sum(one.block.learned for one in blocks)
    return site_sums(whole, key_of_sums(detector_key, manifest.input, location, manifest.depth), images)


def read_prior(file: Path | None, key: str) -> SiteSums | None:
    """The sums of other sites, for a teaching whose features have this key; None: no file. Raises TrainingError."""
    if file is None:
        return None
    sums = read_sums(file)
    if sums.key != key:
        raise TrainingError(
            f'prior "{file}" has sums of another backbone, input, way to find the part, heights or ignored regions '
            "than this teaching: give both the same, or teach without --prior"
        )
    return sums


def beside_in_words(blocks: Sequence[Weighed], prior: SiteSums | None, learned: Learned) -> list[str]:
    """What a teaching learned beside its images."""
    names = ", ".join(one.block.name for one in blocks)
    return [said.BESIDE_BLOCKS(names=names)] * bool(blocks) + ([_prior_in_words(prior, learned)] if prior else [])


def _prior_in_words(prior: SiteSums, learned: Learned) -> str:
    means = [weights.mean for weights in learned.prior.values()]
    covariances = [weights.covariance for weights in learned.prior.values()]
    about = {"count": prior.images, "sites": prior.sites}
    if not max(means + covariances):
        return said.PRIOR_NOT_USED(**about)
    return said.PRIOR(**about, mean=_range(means), covariance=_range(covariances))


def _range(values: list[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
