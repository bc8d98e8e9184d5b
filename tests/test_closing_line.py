"""The closing line of a run counts what was not run."""

from __future__ import annotations

from tests.bench.places import DATASETS, missing_set
from tests.bench.programs import not_installed
from tests.conftest import closing_line


def test_it_names_the_packages_and_counts_by_reason() -> None:
    reasons = [
        f"Skipped: mbpoll is {not_installed('mbpoll')}",
        f"Skipped: mbpoll is {not_installed('mbpoll')}",
        f"libmodbus is {not_installed('libmodbus-dev')}",
        f"Skipped: {missing_set(DATASETS / 'bottle')}",
        "Skipped: this computer has a GPU that can be used",
        "Skipped: a PC is x86_64",
    ]
    assert closing_line(reasons) == (
        "Not run: 3 for a missing program (Debian: apt install libmodbus-dev mbpoll), "
        "1 for want of an image set (STATION_DATASETS), 1 for the GPU or TensorRT of this machine, "
        "1 for another reason, see above."
    )


def test_it_is_empty_when_everything_ran() -> None:
    assert closing_line([]) == ""
