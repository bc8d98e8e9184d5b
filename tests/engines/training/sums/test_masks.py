"""Masked sums: masks cancel to the last bit, a share alone is noise, and whatever does not belong is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.errors import TrainingError
from engines.training.sums.kept import combined
from engines.training.sums.masks import (
    FRACTION_BITS,
    Card,
    Share,
    masked,
    new_secret,
    read_card,
    read_secret,
    read_share,
    round_of,
    unmasked,
    write_card,
    write_secret,
    write_share,
)
from tests.engines.training.sums.test_kept import apart, site

COUNTS = {"A": 20, "B": 31, "C": 8, "D": 12}
SECRETS = {name: new_secret(name) for name in COUNTS}
SITES = {name: site(number, count) for number, (name, count) in enumerate(COUNTS.items())}


def cards(names: str) -> list[Card]:
    return [SECRETS[name].card for name in names]


def shares(names: str) -> dict[str, Share]:
    return {name: masked(SITES[name], SECRETS[name], cards(names)) for name in names}


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(["ABC", "ABD", "ABCD"]), st.randoms(use_true_random=False))
def test_masks_cancel(names: str, random: object) -> None:
    """The sum is that of the sites' fixed point numbers to the last bit, so that of their sums within rounding."""
    order = list(names)
    random.shuffle(order)  # type: ignore[attr-defined]
    of_round = shares(names)
    found = unmasked({name: of_round[name] for name in order}, cards("".join(reversed(order))))
    fixed = sum(np.rint(SITES[name].values * 2.0**FRACTION_BITS).astype(np.int64) for name in names)
    assert np.array_equal(np.rint(found.values * 2.0**FRACTION_BITS).astype(np.int64), fixed)
    plain = combined({name: SITES[name] for name in names})
    assert (found.images, found.sites, found.key) == (plain.images, plain.sites, plain.key)
    assert apart(plain.as_sums(), found.as_sums()) <= 1e-9


def test_a_share_alone_is_noise_and_so_are_all_but_one() -> None:
    of_round = shares("ABCD")
    for some in (("A",), ("A", "B"), ("A", "B", "C")):
        total = sum((of_round[name].values for name in some), np.uint64(0))
        high = (total >> np.uint64(56)).astype(np.int64)  # of sums these are all but 0 or 255
        assert 100 < high.mean() < 155


def test_another_round_has_other_masks() -> None:
    other = new_secret("D")
    first = masked(SITES["A"], SECRETS["A"], cards("ABC"))
    second = masked(SITES["A"], SECRETS["A"], [*cards("AB"), other.card])
    assert not (first.values == second.values).any()


def test_fewer_than_three_sites_are_refused() -> None:
    with pytest.raises(TrainingError, match="2 cards: masks need at least 3 sites"):
        masked(SITES["A"], SECRETS["A"], cards("AB"))


@pytest.mark.parametrize("missing", ["A", "BC"])
def test_a_drop_out_repeats_the_round(missing: str) -> None:
    of_round = shares("ABCD")
    left = {name: share for name, share in of_round.items() if name not in missing}
    with pytest.raises(
        TrainingError, match=rf"{len(missing)} of 4 shares are missing \({', '.join(missing)}\).*new keys"
    ):
        unmasked(left, cards("ABCD"))
    stayed = [name for name in COUNTS if name not in missing]
    if len(stayed) >= 3:
        keys = {name: new_secret(name) for name in stayed}
        again = [secret.card for secret in keys.values()]
        found = unmasked({name: masked(SITES[name], keys[name], again) for name in stayed}, again)
        assert found.images == sum(COUNTS[name] for name in stayed)


def test_what_was_changed_is_refused() -> None:
    of_round = shares("ABC")
    values = of_round["B"].values.copy()
    values[7] += np.uint64(1)
    with pytest.raises(TrainingError, match='share "B": its numbers were changed after site "B" signed'):
        unmasked({**of_round, "B": replace(of_round["B"], values=values)}, cards("ABC"))
    header = of_round["B"].header.model_copy(update={"key": "c" * 64})
    with pytest.raises(TrainingError, match='share "B" was not signed by site "B" of this round'):
        unmasked({**of_round, "B": replace(of_round["B"], header=header)}, cards("ABC"))


def test_what_is_foreign_or_there_twice_is_refused() -> None:
    of_round = shares("ABC")
    with pytest.raises(TrainingError, match='is of site "D", which has no card in this round'):
        unmasked({**of_round, "D": shares("ABD")["D"]}, cards("ABC"))
    with pytest.raises(TrainingError, match='"A" and "again" are both of site "A"'):
        unmasked({**of_round, "again": of_round["A"]}, cards("ABC"))
    with pytest.raises(TrainingError, match='share "B" is of another round'):
        unmasked({**of_round, "B": shares("ABD")["B"]}, cards("ABC"))
    stranger = new_secret("B")
    forged = masked(SITES["B"], stranger, [*cards("AC"), stranger.card])
    with pytest.raises(TrainingError, match='share "B" was not signed by site "B"'):
        unmasked({**of_round, "B": forged}, cards("ABC"))
    with pytest.raises(TrainingError, match="not among those of the round"):
        masked(SITES["D"], SECRETS["D"], cards("ABC"))
    with pytest.raises(TrainingError, match="not among those of the round"):
        masked(SITES["B"], stranger, cards("ABC"))


def test_sites_with_other_features_and_large_sums_are_refused() -> None:
    other = replace(SITES["C"], key="b" * 64)
    mixed = {**shares("ABC"), "C": masked(other, SECRETS["C"], cards("ABC"))}
    with pytest.raises(TrainingError, match="of another backbone, input or way to find the part"):
        unmasked(mixed, cards("ABC"))
    huge = replace(SITES["A"], values=SITES["A"].values * 1e9)
    with pytest.raises(TrainingError, match="masked sums of 3 sites reach"):
        masked(huge, SECRETS["A"], cards("ABC"))


def test_cards_that_stand_twice_are_refused() -> None:
    with pytest.raises(TrainingError, match="two cards have the same site, A"):
        round_of([*cards("ABC"), new_secret("A").card])
    copied = SECRETS["A"].card.model_copy(update={"site": "E"})
    with pytest.raises(TrainingError, match="two cards have the same masks"):
        round_of([*cards("ABC"), copied])
    with pytest.raises(TrainingError, match="letters, digits"):
        new_secret("line 3")


def test_a_key_that_is_no_point_is_refused() -> None:
    zero = SECRETS["C"].card.model_copy(update={"masks": "0" * 64})
    with pytest.raises(TrainingError, match='"C" holds no proper key'):
        masked(SITES["A"], SECRETS["A"], [*cards("AB"), zero])


def test_files_of_a_round(tmp_path: Path) -> None:
    secret = SECRETS["A"]
    write_secret(tmp_path / "A.secret", secret)
    assert (tmp_path / "A.secret").stat().st_mode & 0o777 == 0o600
    assert read_secret(tmp_path / "A.secret") == secret
    with pytest.raises(TrainingError, match="keys are made once"):
        write_secret(tmp_path / "A.secret", secret)
    assert str(secret.masks) not in repr(secret)
    write_card(tmp_path / "A.card", secret.card)
    assert read_card(tmp_path / "A.card") == secret.card
    assert secret.masks.hex() not in (tmp_path / "A.card").read_text()
    with pytest.raises(TrainingError, match="cannot be read"):
        read_secret(tmp_path / "A.card")
    share = shares("ABC")["A"]
    write_share(tmp_path / "A.share.npz", share)
    found = read_share(tmp_path / "A.share.npz")
    assert np.array_equal(found.values, share.values)
    assert (found.header, found.signature) == (share.header, share.signature)
    for damaged in _damaged((tmp_path / "A.share.npz").read_bytes()):
        (tmp_path / "A.share.npz").write_bytes(damaged)
        with pytest.raises(TrainingError):
            unmasked({**shares("ABC"), "A": read_share(tmp_path / "A.share.npz")}, cards("ABC"))


def _damaged(data: bytes) -> list[bytes]:
    middle = len(data) // 2
    flipped = bytearray(data)
    flipped[middle] ^= 1
    return [data[:middle], bytes(flipped), b""]
