"""Files of sums: what is written is read to the bit, what was changed or does not fit is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engines.detectors.sums import LocationSums, Sums, added
from engines.errors import TrainingError
from engines.training.sums.kept import SiteSums, combined, read_sums, site_sums, write_sums

KEY = "a" * 64


def sums_of(seed: int, count: int) -> Sums:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: LocationSums.of(torch.randn(count, *shape, generator=generator) * 3 + 5)
        for name, shape in {"fine": (4, 3, 5), "coarse": (2, 2, 7)}.items()
    }


def site(seed: int, count: int) -> SiteSums:
    return site_sums(sums_of(seed, count), KEY, count)


def apart(first: Sums, second: Sums) -> float:
    """Largest difference, as a share of the largest number."""
    return max(
        float((getattr(one, kind) - getattr(second[name], kind)).abs().max() / getattr(one, kind).abs().max())
        for name, one in first.items()
        for kind in ("count", "first", "second")
    )


def test_sums_of_sites_are_those_of_all_their_images(tmp_path: Path) -> None:
    """In any order, through files: equal within 1e-9, as it was asked for; in fact to rounding."""
    for number, count in enumerate((20, 31, 8)):
        write_sums(tmp_path / f"{number}.sums.npz", site(number, count))
    read = {name: read_sums(tmp_path / f"{name}.sums.npz") for name in ("2", "0", "1")}
    whole = combined(read)
    assert (whole.images, whole.sites) == (59, 3)
    expected: Sums | None = None
    for number, count in enumerate((20, 31, 8)):
        expected = added(expected, sums_of(number, count))
    assert expected is not None
    assert apart(expected, whole.as_sums()) <= 1e-14


def test_a_file_is_read_to_the_bit(tmp_path: Path) -> None:
    written = site(1, 20)
    write_sums(tmp_path / "one.sums.npz", written)
    found = read_sums(tmp_path / "one.sums.npz")
    assert np.array_equal(found.values, written.values)
    assert replace(found, values=written.values) == written
    assert apart(sums_of(1, 20), found.as_sums()) == 0


def test_sums_of_other_features_do_not_add() -> None:
    other = replace(site(2, 10), key="b" * 64)
    with pytest.raises(TrainingError, match='"two" has sums of another backbone'):
        combined({"one": site(1, 10), "two": other})


def changed(sums: SiteSums, place: int, value: float) -> SiteSums:
    values = sums.values.copy()
    values[place] = value
    return replace(sums, values=values)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (changed(site(1, 10), 3, np.nan), "a number is not finite"),
        (changed(site(1, 10), 0, 11), "11 images at a location, of 10 in all"),
        (changed(site(1, 10), 0, -1), "images at a location"),
        (changed(site(1, 10), 8, 1e6), "a variance is below zero"),
        (replace(site(1, 10), values=site(1, 10).values[:-1]), "its header says"),
        (replace(site(1, 10), images=0), "images"),
    ],
)
def test_what_no_images_have_is_refused(tmp_path: Path, wrong: SiteSums, says: str) -> None:
    if wrong.images:
        write_sums(tmp_path / "wrong.sums.npz", wrong)
        with pytest.raises(TrainingError, match=says):
            read_sums(tmp_path / "wrong.sums.npz")
    else:
        with pytest.raises(ValueError, match=says):
            write_sums(tmp_path / "wrong.sums.npz", wrong)


def test_changed_bytes_and_other_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "one.sums.npz"
    write_sums(file, site(1, 10))
    with np.load(file) as arrays:
        held = dict(arrays)
    held["values"] = held["values"].copy()
    held["values"][5] += 1e-6
    np.savez(file, **held)
    with pytest.raises(TrainingError, match="changed after it was made; export them again"):
        read_sums(file)
    np.savez(file, **held, more=np.zeros(3))
    with pytest.raises(TrainingError, match="it holds header, more, values"):
        read_sums(file)
    file.write_bytes(b"no sums at all")
    with pytest.raises(TrainingError, match="cannot be used"):
        read_sums(file)
    with pytest.raises(TrainingError, match="No such file"):
        read_sums(tmp_path / "nothing")
    (tmp_path / "link").symlink_to(file)
    with pytest.raises(TrainingError, match="a link"):
        read_sums(tmp_path / "link")
