"""`python -m engines.training.sums`: sums of an engine as a file, masked or not, and the sum of several sites."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch

from engines.detectors.backbones.loading import DEFAULT_BACKBONE
from engines.errors import TrainingError
from engines.training.progress import JsonReporter, run_reported
from engines.training.sums import masks
from engines.training.sums.exporting import sums_of_engine
from engines.training.sums.kept import combined, read_sums, write_sums


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0 done, 2 bad input, 130 interrupted."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    reporter = JsonReporter()

    def work() -> None:
        reporter.done("", options.act(options))

    return run_reported(reporter, work, interrupted="interrupted; nothing was written")


def _key(options: argparse.Namespace) -> dict[str, Any]:
    _must_not_exist(options.card)
    secret = masks.new_secret(options.site)
    masks.write_secret(options.secret, secret)
    masks.write_card(options.card, secret.card)
    return {"site": secret.card.site, "card": str(options.card), "secret": str(options.secret)}


def _export(options: argparse.Namespace) -> dict[str, Any]:
    _must_not_exist(options.output)
    if (options.secret is None) != (not options.cards):
        raise TrainingError("masks need both: the secret of this site and the cards of all sites of the round")
    cards = [masks.read_card(file) for file in options.cards]
    secret = None if options.secret is None else masks.read_secret(options.secret)
    if secret is not None:
        masks.round_of(cards)  # before the work
    sums = sums_of_engine(options.engine, options.backbone)
    if secret is None:
        write_sums(options.output, sums)
    else:
        masks.write_share(options.output, masks.masked(sums, secret, cards))
        options.secret.unlink()  # the difference of two shares under one mask is that of their sums
    return _facts(options.output, sums.images, len(cards) or 1, sums.key, masked=secret is not None)


def _combine(options: argparse.Namespace) -> dict[str, Any]:
    _must_not_exist(options.output)
    if options.cards:
        cards = [masks.read_card(file) for file in options.cards]
        sums = masks.unmasked({str(file): masks.read_share(file) for file in options.files}, cards)
    else:
        sums = combined({str(file): read_sums(file) for file in options.files})
    write_sums(options.output, sums)
    return _facts(options.output, sums.images, sums.sites, sums.key, masked=bool(options.cards))


def _facts(output: Path, images: int, sites: int, key: str, *, masked: bool) -> dict[str, Any]:
    return {
        "output": str(output), "images": images, "sites": sites, "masked": masked, "key": key,
        "size": output.stat().st_size,
    }  # fmt: skip


def _must_not_exist(file: Path) -> None:
    if file.exists() or file.is_symlink():
        raise TrainingError(f'"{file}" exists already; choose another name, or remove it')


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m engines.training.sums", description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    actions = parser.add_subparsers(dest="action", required=True)
    action = actions.add_parser("key")
    action.add_argument("--site", required=True)
    action.add_argument("--secret", type=Path, required=True)
    action.add_argument("--card", type=Path, required=True)
    action.set_defaults(act=_key)
    action = actions.add_parser("export")
    action.add_argument("--engine", type=Path, required=True)
    action.add_argument("--backbone", default=DEFAULT_BACKBONE)
    action.add_argument("--output", type=Path, required=True)
    action.add_argument("--secret", type=Path)
    action.add_argument("--cards", type=Path, action="append", default=[])
    action.set_defaults(act=_export)
    action = actions.add_parser("combine")
    action.add_argument("--output", type=Path, required=True)
    action.add_argument("--cards", type=Path, action="append", default=[])
    action.add_argument("--files", type=Path, action="append", required=True)
    action.set_defaults(act=_combine)
    return parser


if __name__ == "__main__":
    sys.exit(main())
