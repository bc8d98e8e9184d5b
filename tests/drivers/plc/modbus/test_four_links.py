"""The contract of a link to the PLC, held by all four: TCP and RTU, server and client."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from drivers.plc.protocol import LinkEvent, PlcInputs, PlcLink, PlcOutputs
from drivers.plc.signal_map import Layout
from tests.bench.four_links import NAMES, FourLinks, Plc
from tests.bench.serial_pair import SerialPair
from tests.bench.waiting import wait_for

TRIGGER_ENABLE, TRIGGER, LATCH_PART_ID = 0, 1, 11


class Running:
    """One open link with its PLC and every event that it posted."""

    def __init__(self, name: str, links: FourLinks, layout: Layout | None = None) -> None:
        self.inputs: list[PlcInputs] = []
        self.events: list[LinkEvent] = []
        self.threads: set[str] = set()
        self.link: PlcLink = links.link(name, self._on_inputs, self.events.append, layout)
        is_server = name.endswith("server")
        if is_server:
            self.link.__enter__()
        self.plc: Plc = links.plc(name)
        if not is_server:
            self.link.__enter__()

    def _on_inputs(self, inputs: PlcInputs) -> None:
        self.threads.add(threading.current_thread().name)
        self.inputs.append(inputs)

    def close(self) -> None:
        self.link.__exit__(None, None, None)
        self.plc.close()
        assert not getattr(self.link, "is_alive")  # noqa: B009  not of the protocol

    def wait_status(self, outputs: PlcOutputs) -> None:
        """Until the PLC sees this id and heartbeat."""
        expected = [outputs.heartbeat, outputs.acquisition_id]

        def seen() -> bool:
            _, registers = self.plc.status()
            return [registers[1], registers[8] << 16 | registers[9]] == expected

        wait_for(seen, f"heartbeat and AcquisitionId {expected}")


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def links(name: str) -> Iterator[FourLinks]:
    if name.startswith("tcp"):
        yield FourLinks.on(None)
        return
    with SerialPair() as pair:
        yield FourLinks.on(pair)


@pytest.fixture
def running(name: str, links: FourLinks) -> Iterator[Running]:
    running = Running(name, links)
    try:
        if name.endswith("client"):
            wait_for(lambda: bool(running.inputs), "the first control block")
        yield running
    finally:
        running.close()


def test_the_plc_reads_the_whole_status_block(running: Running) -> None:
    bits, registers = running.plc.status()
    assert [index for index, bit in enumerate(bits) if bit] == [8], "Reject, before anything was published"
    assert registers[:3] == [2, 0, 1]
    outputs = PlcOutputs(
        online=True, reject=False, recipe_changing=True, heartbeat=5, acquisition_id=70_000, count_ejected=65_537
    )
    running.link.publish(outputs)
    running.wait_status(outputs)
    bits, registers = running.plc.status()
    assert [index for index, bit in enumerate(bits) if bit] == [0, 26]
    assert registers[8:10] == [1, 4464]
    assert registers[46:48] == [1, 1]


def test_the_station_gets_every_change_of_the_control_block_in_order(running: Running) -> None:
    known = running.inputs[-1] if running.inputs else PlcInputs()
    assert known == PlcInputs()

    def wait_for_inputs(expected: PlcInputs) -> None:
        wait_for(lambda: bool(running.inputs) and running.inputs[-1] == expected, str(expected))

    running.plc.set_coil(TRIGGER_ENABLE, True)
    wait_for_inputs(enabled := PlcInputs(trigger_enable=True))
    running.plc.set_registers(3, [1, 2, 3, 4, 5])
    wait_for_inputs(with_id := replace(enabled, part_id=65538, encoder_count=196612, deadline_ms=5))
    running.plc.set_coil(LATCH_PART_ID, True)
    wait_for_inputs(latched := replace(with_id, latch_part_id=True))
    running.plc.set_coil(15, True)
    wait_for_inputs(at_ejector := replace(latched, part_at_ejector=True))
    running.plc.set_registers(8, [0xFFFF, 0xFFFE])
    wait_for_inputs(counting := replace(at_ejector, encoder_now=0xFFFF_FFFE))
    changes = [
        inputs for index, inputs in enumerate(running.inputs) if index == 0 or inputs != running.inputs[index - 1]
    ]
    assert changes[-5:] == [enabled, with_id, latched, at_ejector, counting]
    assert running.threads == {"modbus"}


@pytest.mark.parametrize("low_word_first", [False, True])
@pytest.mark.parametrize("low_byte_first", [False, True])
def test_word_and_byte_order_hold_in_both_directions(
    name: str, links: FourLinks, low_word_first: bool, low_byte_first: bool
) -> None:
    running = Running(name, links, Layout(high_word_first=not low_word_first, low_byte_first=low_byte_first))
    try:
        words = [0x0A0B, 0x0C0D]
        ordered = words[::-1] if low_word_first else words
        ordered = [value >> 8 | (value & 0xFF) << 8 for value in ordered] if low_byte_first else ordered
        running.link.publish(PlcOutputs(acquisition_id=0x0A0B_0C0D, heartbeat=1))
        wait_for(lambda: running.plc.status()[1][8:10] == ordered, f"{ordered} as AcquisitionId")
        assert running.plc.status()[1][1] == (0x0100 if low_byte_first else 1)
        running.plc.set_registers(3, ordered)
        wait_for(lambda: bool(running.inputs) and running.inputs[-1].part_id == 0x0A0B_0C0D, "PartId")
    finally:
        running.close()


def test_a_value_that_does_not_fit_is_refused_and_the_old_block_stays(running: Running) -> None:
    running.link.publish(good := PlcOutputs(heartbeat=4))
    with pytest.raises(ValueError, match="Recipe = 70000"):
        running.link.publish(PlcOutputs(heartbeat=5, recipe=70_000))
    running.wait_status(good)


def test_publishing_never_waits_for_the_plc_and_the_latest_state_wins(running: Running) -> None:
    for count in range(2000):
        running.link.publish(PlcOutputs(heartbeat=count, acquisition_id=count))
    running.wait_status(PlcOutputs(heartbeat=1999, acquisition_id=1999))


def test_a_block_read_at_once_belongs_to_one_publish(running: Running) -> None:
    """In client role this is the PLC's own memory, which the station writes in one request."""
    stop = threading.Event()

    def publish() -> None:
        count = 0
        while not stop.wait(0.001):
            count += 1
            running.link.publish(
                PlcOutputs(acquisition_id=count, inspection_id=count, part_id_echo=count, count_missed=count)
            )

    publisher = threading.Thread(target=publish)
    publisher.start()
    try:
        for _ in range(50):
            _, block = running.plc.status()
            assert block[8:10] == block[10:12] == block[12:14] == block[40:42]
    finally:
        stop.set()
        publisher.join()


def test_a_link_that_was_never_opened_closes(name: str, links: FourLinks) -> None:
    links.link(name, lambda _: None, lambda _: None).__exit__(None, None, None)


def test_the_link_can_be_opened_again_after_its_end(name: str, links: FourLinks) -> None:
    first = Running(name, links)
    first.close()
    second = Running(name, links)
    try:
        second.plc.set_coil(TRIGGER, True)
        wait_for(lambda: bool(second.inputs) and second.inputs[-1].trigger, "Trigger")
    finally:
        second.close()
