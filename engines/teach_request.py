"""What a person may choose when an engine is taught: the one definition.

The options of `station teach`, of `station refresh` and of `python -m engines.training` follow from the fields of
`TeachRequest`, and so does the command line of the training process. No PyTorch here: the station reads this module.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any


def name_or_file(text: str) -> str | Path:
    """Type of an option: the file of a network has a suffix, the name of one has none."""
    return Path(text) if Path(text).suffix else text


def _about(help_text: str, metavar: str | None = None, read: Callable[[str], Any] = str) -> dict[str, Any]:
    """What a field's option needs besides name and default; `read` turns text into the value."""
    return {"help": help_text, "metavar": metavar, "read": read}


@dataclass(frozen=True, slots=True)
class TeachRequest:
    """How an engine is to be taught. The texts of fields are the help of their options."""

    detector: str = field(default="spatial", metadata=_about("spatial (default), differnet, memory", "NAME"))
    backbone: str | Path = field(
        default="lite0", metadata=_about("lite0 (default), lite1, lite2, a file", "NAME", name_or_file)
    )
    location: str = field(
        default="auto", metadata=_about("finds the part: auto (default), none, blob, template", "HOW")
    )
    ignore: str = field(
        default="", metadata=_about('does not count: "x,y x,y x,y; ...", shares of the located part', "REGIONS")
    )
    template_box: str = field(
        default="", metadata=_about("template: what to look for, shares of the image (default: its middle)", "X,Y,W,H")
    )
    template_angle_deg: float = field(
        default=0.0, metadata=_about("template: largest turn of the part (default 0, at most 30)", "DEG", float)
    )
    refine: str = field(default="auto", metadata=_about("how dirt is found: auto (default), irp, osr, none", "HOW"))
    false_reject_budget: float = field(
        default=0.01, metadata=_about("good parts that may be rejected (default 0.01)", "SHARE", float)
    )
    review_budget: float = field(
        default=0.1, metadata=_about("good parts that may be rejected or in review (default 0.1)", "SHARE", float)
    )
    parts_per_hour: float | None = field(
        default=None, metadata=_about("of this line: reviews are shown per hour (default: per 1000 parts)", "N", float)
    )
    max_reviews_per_hour: float | None = field(
        default=None, metadata=_about("good parts a person can look at; lowers the review budget", "N", float)
    )
    variants: str = field(
        default="ask",
        metadata=_about("removed images that look alike are good parts (keep), defects (remove), ask (default)", "HOW"),
    )
    seed: int = field(default=0, metadata=_about("same images and same seed give the same model (default 0)", "N", int))
    threads: int = field(default=2, metadata=_about("CPU threads (default 2)", "N", int))
    steps: int | None = field(
        default=None, metadata=_about("training steps, 0: closed form only (default: the detector's own)", "N", int)
    )
    defect_trials: int = field(
        default=60,
        metadata=_about("synthetic defects of each kind, to measure what is found (default 60, 0: none)", "N", int),
    )
    pixel_size_mm: float | None = field(
        default=None, metadata=_about("a camera pixel on the part; sizes of defects are in mm then", "MM", float)
    )
    reference_pictures: int = field(
        default=200,
        metadata=_about("good images kept small, to compare parts with (default 200, the most; 0: none)", "N", int),
    )
    int8: bool = field(default=False, metadata=_about("also a graph with the backbone in 8 bits, for a GPU"))
    known_good: Path | None = field(
        default=None, metadata=_about("images never to remove, one name a line", "FILE", Path)
    )
    known_bad: Path | None = field(
        default=None,
        metadata=_about("defective images, one name a line; behind a tab the kind of defect", "FILE", Path),
    )
    veto: Path | None = field(default=None, metadata=_about("removed images that are good after all", "FILE", Path))
    earlier: Path | None = field(
        default=None,
        metadata=_about("learn beside the blocks of an engine, ENGINE/dossier/blocks; none is forgotten", "DIR", Path),
    )
    without: str = field(default="", metadata=_about("of these, blocks to leave out", "NAME,..."))
    weigh: str = field(
        default="", metadata=_about("of these, blocks that count less in what is normal", "NAME=0.5,...")
    )
    prior: Path | None = field(
        default=None,
        metadata=_about("sums of other sites (station fleet sums), to teach from few images", "FILE", Path),
    )
    block: str = field(default="", metadata=_about("name of the block that this teaching makes (default: its day)"))
    cache: Path | None = field(
        default=None, metadata=_about("folder that keeps features and rounds between runs", "DIR", Path)
    )

    def given(self) -> dict[str, Any]:
        """What differs from the defaults."""
        return {name: getattr(self, name) for name, option in OPTIONS.items() if getattr(self, name) != option.default}


OPTIONS: Mapping[str, Field[Any]] = {option.name: option for option in fields(TeachRequest)}
FILES = ("known_good", "known_bad", "veto", "earlier", "cache")
"""Options that a caller may fill itself: a refresh writes these files."""
FROM_LINE = ("false_reject_budget", "review_budget", "parts_per_hour", "max_reviews_per_hour", "variants", "seed")
"""What may be chosen for a teaching from the line, too."""


def add_options(
    parser: argparse._ActionsContainer,
    names: Collection[str] = tuple(OPTIONS),
    **changed: Mapping[str, Any],
) -> None:
    """Adds an option for each field in `names`; one that is not given becomes None.

    Args:
        changed: by the name of a field, what `add_argument` gets differently: choices, a stricter type.
    """
    for name in names:
        about = OPTIONS[name].metadata
        if OPTIONS[name].default is False:
            how: dict[str, Any] = {"action": "store_const", "const": True}
        else:
            how = {"type": about["read"], "metavar": about["metavar"]}
        parser.add_argument(f"--{name.replace('_', '-')}", **{"help": about["help"], **how, **changed.get(name, {})})


def request_from(options: argparse.Namespace, names: Collection[str] = tuple(OPTIONS)) -> TeachRequest:
    """The request of parsed options; what was not given keeps its default."""
    return TeachRequest(**{name: value for name in names if (value := getattr(options, name)) is not None})
