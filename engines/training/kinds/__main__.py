"""`python -m engines.training.kinds`: an engine whose kinds of defects are learned anew, without PyTorch.

The labels come in a file of JSON, which the station writes from its records:

    {"images": [{"path": "/.../12.png", "kind": "crack", "part": "SESSION/12/top"}, ...],
     "on_record": {"SESSION/12": "crack", ...}}
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from engines.bundle.kinds import KindName
from engines.errors import TrainingError
from engines.training.kinds.relearn import LabelledImage, relearn
from engines.training.progress import JsonReporter, run_reported


class _Image(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path
    kind: KindName
    part: str = ""


class _Labels(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    images: tuple[_Image, ...]
    on_record: Mapping[str, KindName] = {}


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0 done, 2 bad input or nothing to learn, 130 interrupted."""
    options = _parser().parse_args(arguments)
    reporter = JsonReporter()

    def learn() -> None:
        labels = _read(options.labels)
        done = relearn(
            options.engine,
            [LabelledImage(one.path, one.kind, one.part) for one in labels.images],
            options.output,
            cache=options.cache,
            threads=options.threads,
            on_record=labels.on_record,
            labels_only=options.labels_only,
            on_step=reporter.step,
        )
        reporter.done(done.manifest.engine_id, done.as_dict())

    return run_reported(reporter, learn, interrupted="interrupted; nothing was written")


def _read(file: Path) -> _Labels:
    try:
        return _Labels.model_validate_json(file.read_bytes())
    except OSError as problem:
        raise TrainingError(f'labels "{file}" cannot be read: {problem.strerror}') from problem
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise TrainingError(f'labels "{file}": {place}: {first["msg"]}; expected {json.dumps(_EXAMPLE)}') from error


_EXAMPLE = {"images": [{"path": "FILE", "kind": "crack", "part": "SESSION/12/top"}], "on_record": {}}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m engines.training.kinds", description=__doc__)
    parser.add_argument("--engine", type=Path, required=True, help="the engine's directory")
    parser.add_argument("--labels", type=Path, required=True, help="file of JSON, see above")
    parser.add_argument("--output", type=Path, required=True, help="new directory for the engine")
    parser.add_argument("--cache", type=Path, required=True, help="folder that keeps what images look like")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--labels-only", action="store_true", help="labels of the teaching do not count")
    return parser


if __name__ == "__main__":
    sys.exit(main())
