"""`[reject]`: what is refused, and what becomes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.plc.protocol import PlcOutputs
from station.codes import ReasonCode
from station.configuration.load import ConfigurationError, load
from station.line.ejection.setup import tracking_settings
from station.line.handshake.publisher import StatusPublisher
from station.results import Verdict

CAMERA = '[cameras.top]\nproducer = "simtl"\n'
STATION = '[reject]\nby = "station"\n'
EJECTOR = "[[reject.ejectors]]\n"


def problems(folder: Path, text: str) -> str:
    path = folder / "station.toml"
    path.write_text(CAMERA + text)
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (STATION, "needs at least one [[reject.ejectors]]"),
        (STATION + EJECTOR + "distance_counts = 900\npulse_ms = 30.0\n", "needs `window_counts`"),
        (
            STATION + "window_counts = 200\n" + EJECTOR + "distance_ms = 900.0\npulse_ms = 30.0\n",
            "every ejector needs `distance_counts`",
        ),
        (
            STATION + 'encoder = "time"\nwindow_ms = 50.0\n' + EJECTOR + "distance_ms = 900.0\npulse_counts = 3\n",
            "use `pulse_ms`",
        ),
        (STATION + "window_counts = 200\n" + EJECTOR + "distance_counts = 900\n", "one of `pulse_counts` and"),
        (
            STATION + "window_counts = 200\n" + EJECTOR + "distance_counts = 900\npulse_counts = 201\n",
            "longer than the window",
        ),
        (
            STATION + "window_counts = 200\n" + EJECTOR + "distance_counts = 150\npulse_counts = 20\n",
            "within the window",
        ),
        (
            STATION
            + "window_counts = 200\nsensor_counts = 800\n"
            + EJECTOR
            + "distance_counts = 900\npulse_ms = 9.0\n",
            "sensor at 800",
        ),
        (
            STATION
            + "window_counts = 200\n"
            + EJECTOR
            + "distance_counts = 900\npulse_ms = 9.0\n"
            + EJECTOR
            + "distance_counts = 800\npulse_ms = 9.0\n",
            "do not grow",
        ),
        (
            STATION
            + "window_counts = 200\n"
            + EJECTOR
            + 'distance_counts = 900\npulse_ms = 9.0\noutput = "camera"\ncamera = "side"\n',
            'no camera "side"',
        ),
        (
            '[plc]\nrole = "off"\n'
            + STATION
            + "window_counts = 200\n"
            + EJECTOR
            + "distance_counts = 900\npulse_ms = 9.0\n",
            "without a PLC",
        ),
        ("[reject]\nejectors = [{ pulse_ms = 9.0, reasons = [999] }]\n", "no reason code"),
        ('[reject]\nejectors = [{ pulse_ms = 9.0, verdicts = ["PASS"] }]\n', "'FAIL', 'REVIEW' or 'ERROR'"),
        ("[reject]\ndistance = 5\n", "unknown key"),
    ],
)
def test_what_cannot_be_is_refused_with_what_is_allowed(tmp_path: Path, text: str, said: str) -> None:
    assert said in problems(tmp_path, text)


def test_settings_of_the_tracker(tmp_path: Path) -> None:
    path = tmp_path / "station.toml"
    path.write_text(
        CAMERA
        + STATION
        + 'encoder = "time"\nwindow_ms = 50.0\n'
        + EJECTOR
        + 'distance_ms = 900.0\npulse_ms = 30.0\nlead_ms = 5.0\nverdicts = ["REVIEW"]\nreasons = ["DEADLINE", 43]\n'
    )
    settings = tracking_settings(load(path))
    [ejector] = settings.ejectors
    assert (settings.window, ejector.distance, ejector.pulse_ns, ejector.lead_ns) == (50e6, 900e6, 30e6, 5e6)
    assert ejector.verdicts == {Verdict.REVIEW}
    assert ejector.reasons == {ReasonCode.DEADLINE, ReasonCode.OVERLOAD}


def test_status_of_two_publishers_is_one_image() -> None:
    seen: list[PlcOutputs] = []
    publisher = StatusPublisher(seen.append)
    publisher.publish(PlcOutputs(online=True, ejector1=True))
    publisher.show_ejectors((False, True), 7)
    publisher.publish(PlcOutputs(online=False))
    assert [(out.online, out.ejector1, out.ejector2, out.ejectors, out.count_ejected) for out in seen] == [
        (True, False, False, 0, 0),
        (True, False, True, 2, 7),
        (False, False, True, 2, 7),
    ]
