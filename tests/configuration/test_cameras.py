"""Sections on cameras: what is refused, and in which words."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from station.configuration.cameras import CameraSection


@pytest.mark.parametrize("name", ["", "Mono8", "Mono12p", "BayerGB10Packed", "Mono16"])
def test_a_pixel_format_of_the_pfnc_is_taken(name: str) -> None:
    assert CameraSection(producer="simtl", pixel_format=name, significant_bits=10).pixel_format == name


def test_another_one_names_what_is_similar() -> None:
    with pytest.raises(ValidationError, match=r"similar: Mono12.*PFNC"):
        CameraSection(producer="simtl", pixel_format="mono12")


@pytest.mark.parametrize("bits", [7, 17])
def test_significant_bits_are_8_to_16(bits: int) -> None:
    with pytest.raises(ValidationError, match="significant_bits"):
        CameraSection(producer="simtl", pixel_format="Mono12", significant_bits=bits)
