"""What a person may choose about a teaching is defined once: every field is an option wherever an engine is taught."""

from __future__ import annotations

import argparse
from dataclasses import fields, replace
from pathlib import Path

import pytest

from engines.detectors.catalogue import DETECTORS
from engines.teach_request import FILES, OPTIONS, TeachRequest, add_options, request_from
from engines.training import __main__ as training
from engines.training.teach import TeachOptions
from station.commands.main import build_parser
from station.jobs.teaching import as_arguments, command_again

CHOSEN = TeachRequest(
    detector="memory",
    backbone=Path("/nets/own.onnx"),
    location="blob",
    ignore="0.1,0.1 0.3,0.1 0.2,0.4",
    template_box="0.2,0.2,0.6,0.5",
    template_angle_deg=-3.5,
    refine="osr",
    false_reject_budget=0.02,
    review_budget=0.05,
    parts_per_hour=3600.0,
    max_reviews_per_hour=90.0,
    variants="keep",
    seed=-7,
    threads=3,
    steps=0,
    defect_trials=30,
    pixel_size_mm=0.05,
    reference_pictures=50,
    int8=True,
    known_good=Path("/lists/-good.txt"),
    known_bad=Path("/lists/bad.txt"),
    veto=Path("/lists/veto.txt"),
    earlier=Path("/engine/dossier/blocks"),
    prior=Path("/shared/-all.sums.npz"),
    without="monday,new supplier",
    weigh="tuesday=0.5",
    block="wednesday",
    cache=Path("/cache with blanks"),
)
"""No field has its default."""


def test_every_field_is_chosen_here() -> None:
    assert set(CHOSEN.given()) == {field.name for field in fields(TeachRequest)} == set(OPTIONS)
    assert TeachRequest().given() == {}


@pytest.mark.parametrize("request_", [CHOSEN, TeachRequest()], ids=["chosen", "defaults"])
def test_the_command_line_of_the_process_gives_the_same_request(request_: TeachRequest) -> None:
    arguments = ["--images=i", "--output=o", *as_arguments(request_.given())]
    assert request_from(training._parser().parse_args(arguments)) == request_


@pytest.mark.parametrize("request_", [CHOSEN, TeachRequest()], ids=["chosen", "defaults"])
def test_the_command_that_is_shown_gives_the_same_request(request_: TeachRequest) -> None:
    command = command_again(Path("images"), Path("engine"), request_)
    assert request_from(build_parser(["teach"]).parse_args(command[1:])) == request_


def test_a_refresh_takes_all_but_the_files_that_it_writes() -> None:
    wanted = replace(CHOSEN, known_good=None, known_bad=None, veto=None, earlier=None, cache=None)
    names = [name for name in OPTIONS if name not in FILES]
    options = build_parser(["refresh"]).parse_args(["refresh", *as_arguments(wanted.given())])
    assert request_from(options, names) == wanted


def test_the_training_does_all_that_is_asked() -> None:
    options = training._parser().parse_args(["--images=i", "--output=o", *as_arguments(CHOSEN.given())])
    teaching = training._teach_options(options, ())
    assert (teaching.detector, teaching.backbone, teaching.seed, teaching.threads) == (
        "memory",
        "/nets/own.onnx",
        -7,
        3,
    )
    assert (teaching.int8, teaching.cache, teaching.veto) == (True, CHOSEN.cache, CHOSEN.veto)
    assert (teaching.known_good, teaching.known_bad) == (CHOSEN.known_good, CHOSEN.known_bad)
    assert teaching.location.method == "blob"
    assert teaching.location.ignore == (((0.1, 0.1), (0.3, 0.1), (0.2, 0.4)),)
    assert teaching.location.template_box == (0.2, 0.2, 0.6, 0.5)
    assert teaching.location.template_max_angle_deg == -3.5
    assert teaching.learning.refinement.method == "osr"
    assert (teaching.learning.training.steps, teaching.learning.false_reject_budget) == (0, 0.02)
    assert teaching.learning.review_budget == 0.025, "90 reviews of 3600 parts"
    assert teaching.parts_per_hour == 3600.0


def test_its_defaults_are_those_of_the_training() -> None:
    options = training._parser().parse_args(["--images=i", "--output=o"])
    taught = training._teach_options(options, ())
    assert replace(taught, command=()) == TeachOptions()
    assert TeachRequest().detector in DETECTORS


def test_an_option_may_be_stricter_than_its_field() -> None:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_options(parser, ("detector",), detector={"choices": ["spatial"]})
    with pytest.raises(argparse.ArgumentError, match="invalid choice: 'magic'"):
        parser.parse_args(["--detector", "magic"])
