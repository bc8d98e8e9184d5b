"""What `station engine` shows of one version: for people, and for scripts."""

from __future__ import annotations

from typing import Any

from engines.bundle.files import FRAME_FILE, variant_file
from engines.bundle.kinds import kinds_in_words
from engines.bundle.known_defects import said_of, suspects_in_words
from engines.bundle.manifest import Manifest, PossibleVariants
from engines.bundle.picture_bands import bands_in_words
from engines.bundle.reviews import counted
from engines.errors import EngineError
from engines.store.gate import cost_in_words, images_in_words
from engines.store.store import EngineStore, manifest_of
from engines.store.versions import Version
from station.reports.shifts import Calendar

_ENGINE_FOLDERS = {"golden", "sample", "location"}


def signer_of(version: Version, store: EngineStore) -> str:
    """Who has signed it, in words."""
    try:
        signer = store.signer(version)
    except EngineError as problem:
        return str(problem)
    return "nobody who is trusted here" if signer is None else f"{signer}: {signer.comment}"


def as_json(version: Version, active: Version | None, calendar: Calendar) -> dict[str, Any]:
    """A line of the list of versions."""
    row: dict[str, Any] = {"version": version.name, "active": version == active, "path": str(version.path)}
    try:
        manifest = manifest_of(version)
    except EngineError as problem:
        return {**row, "problem": str(problem)}
    return {
        **row,
        "engine_id": manifest.engine_id,
        "created": calendar.iso_of_text(manifest.created),
        "detector": manifest.detector,
    }


def facts(version: Version, manifest: Manifest, calendar: Calendar) -> dict[str, str]:
    """Everything about a version, by its heading."""
    taught, limits = manifest.training, manifest.calibration
    beside = sorted({entry.name for entry in version.path.iterdir() if entry.is_dir()} - _ENGINE_FOLDERS)
    graphs = {
        variant_file(name): f"{entry.parity.candidate}: {entry.parity.summary()}"
        for name, entry in manifest.variants.items()
    }
    if manifest.frame is not None:
        kind = "grey" if manifest.frame.grey else "colour"
        graphs[FRAME_FILE] = f"prepares {kind} frames of {manifest.frame.width} x {manifest.frame.height} px on a GPU"
    return {
        "id": manifest.engine_id,
        "folder": str(version.path),
        "made": calendar.of_text(manifest.created),
        "detector": f"{manifest.detector}, input {manifest.input.width} x {manifest.input.height} px",
        "taught from": f"{taught.image_count} images, {taught.removed_count} of them removed as not like the others",
        "limits": f"REVIEW above {limits.review_score:.4g}, FAIL above {limits.reject_score:.4g} (raw scores)",
        **({"possible variants": _variants_in_words(found)} if (found := manifest.possible_variants) else {}),
        "finds": "\n".join(manifest.detection.in_words()) if manifest.detection else "not measured",
        "pictures": "\n".join(bands_in_words(manifest.picture_bands)),
        "promise": limits.promise,
        **({} if manifest.suspects is None else {"suspects": suspects_in_words(manifest.suspects)}),
        **({} if manifest.known_defects is None else {"known defects": said_of(manifest.known_defects)}),
        **({} if manifest.kinds is None else {"kinds of defect": kinds_in_words(manifest.kinds)}),
        **({} if manifest.reviews is None else {"counted": counted(manifest.reviews)}),
        **graphs,
        "made with": ", ".join(f"{package} {version}" for package, version in manifest.software.items()),
        "beside it": ", ".join(beside),
    }


def _variants_in_words(found: PossibleVariants) -> str:
    said = {"keep": "good parts, learned", "remove": "defects, left out", None: "not learned, and nobody was asked yet"}
    cost = "" if found.answer == "keep" else f"; {cost_in_words(found)}"
    return f"{images_in_words(found)}: {said[found.answer]}{cost}"
