"""Client role: what the station makes of a PLC that is not there, goes away, refuses or forgets."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pyModbusTCP.server import DataBank, ModbusServer

from drivers.plc.client_blocks import pieces
from drivers.plc.modbus import ModbusClientLink, ModbusClientSettings, SerialLine, TcpAddress
from drivers.plc.protocol import LinkEvent, PlcError, PlcInputs, PlcOutputs
from drivers.plc.signal_map import Area, points_of
from tests.bench.four_links import CONTROL_AT, STATUS_AT, FourLinks, PromptServer, RtuSlave, TcpSlave
from tests.bench.ports import free_port
from tests.bench.serial_pair import SerialPair
from tests.bench.waiting import wait_for


class Station:
    """A link in client role with everything that it reported."""

    def __init__(self, port: int, **changes: Any) -> None:
        self.inputs: list[PlcInputs] = []
        self.events: list[LinkEvent] = []
        settings = replace(FourLinks(None, port).client_settings, plc=TcpAddress("127.0.0.1", port))
        self.link = ModbusClientLink(replace(settings, **changes), self.inputs.append, self.events.append)

    def wait_for_kinds(self, *kinds: str) -> None:
        wait_for(lambda: [event.kind for event in self.events] == list(kinds), f"the events {kinds}")


@pytest.fixture
def station() -> Iterator[Station]:
    station = Station(free_port())
    yield station
    station.link.__exit__(None, None, None)
    assert not station.link.is_alive


@pytest.fixture
def port(station: Station) -> int:
    plc = station.link._settings.plc
    assert isinstance(plc, TcpAddress)
    return plc.port


def test_a_plc_that_comes_late_is_found_and_the_attempts_are_reported_once(station: Station, port: int) -> None:
    station.link.publish(PlcOutputs(heartbeat=9))
    station.link.__enter__()
    station.wait_for_kinds("disconnected")
    assert "Connection refused: check the PLC" in station.events[0].detail
    plc = TcpSlave(port)
    plc.set_coil(0, True)
    station.wait_for_kinds("disconnected", "connected")
    # The station may read between the start of the PLC and its coil: an empty control block comes first, then.
    wait_for(lambda: station.inputs[-1:] == [PlcInputs(trigger_enable=True)], "the control block")
    assert plc.status()[1][1] == 9
    plc.close()


def test_when_the_plc_is_lost_the_handshake_is_reset_and_all_else_stays(station: Station, port: int) -> None:
    plc = TcpSlave(port)
    plc.set_registers(0, [7])
    for coil in (0, 1, 7):
        plc.set_coil(coil, True)
    station.link.__enter__()
    standing = PlcInputs(trigger_enable=True, trigger=True, set_offline=True, plc_heartbeat=7)
    wait_for(lambda: station.inputs == [standing], "the control block")
    plc.close()
    wait_for(lambda: len(station.inputs) == 2, "the loss")
    assert station.inputs[1] == replace(standing, trigger_enable=False)
    station.wait_for_kinds("connected", "disconnected")
    again = TcpSlave(port)
    again.set_coil(0, True)
    again.set_coil(7, True)
    wait_for(lambda: station.inputs[-1] == PlcInputs(trigger_enable=True, set_offline=True), "the new control block")
    assert [index for index, bit in enumerate(again.status()[0]) if bit] == [8], "the whole status block was written"
    again.close()


def test_registers_that_the_plc_forgets_are_written_again(station: Station, port: int) -> None:
    plc = TcpSlave(port)
    station.link.__enter__()
    station.link.publish(PlcOutputs(heartbeat=5, acquisition_id=70_000))
    wait_for(lambda: plc.status()[1][1] == 5, "the status block")
    plc.put(STATUS_AT, [0] * 68)
    wait_for(lambda: plc.status()[1][8:10] == [1, 4464] and plc.status()[0][8], "the whole status block again")
    plc.close()


def test_the_last_state_is_written_before_the_link_closes(station: Station, port: int) -> None:
    plc = TcpSlave(port)
    station.link.__enter__()
    station.wait_for_kinds("connected")
    station.link.publish(PlcOutputs(heartbeat=4))
    station.link.publish(PlcOutputs(heartbeat=5, acquisition_id=3))
    station.link.__exit__(None, None, None)
    assert plc.status()[1][1] == 5
    plc.close()


class RecordingBank(DataBank):
    """Keeps what each write request changed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[tuple[int, int]] = []

    def set_holding_registers(self, address: int, word_list: list[int], srv_info: object = None) -> bool | None:
        if srv_info is not None:
            self.writes.append((address, len(word_list)))
        found: bool | None = super().set_holding_registers(address, word_list, srv_info)
        return found


def test_only_the_span_that_changed_is_written_and_in_one_request(station: Station, port: int) -> None:
    bank = RecordingBank()
    server = PromptServer(port, bank)
    station.link.__enter__()
    station.wait_for_kinds("connected")
    assert bank.writes[0] == (STATUS_AT, 68)
    station.link.publish(PlcOutputs(heartbeat=1))
    wait_for(lambda: (STATUS_AT + 1, 1) in bank.writes, "one register")
    station.link.publish(PlcOutputs(heartbeat=1, online=True, inspection_id=3))
    wait_for(lambda: (STATUS_AT + 11, 54) in bank.writes, "registers 11 to 64: the result and its bits, together")
    server.stop()


class PickyBank(RecordingBank):
    """A PLC that takes at most 8 registers in one request."""

    def set_holding_registers(self, address: int, word_list: list[int], srv_info: object = None) -> bool | None:
        if srv_info is not None and len(word_list) > 8:
            return None
        return super().set_holding_registers(address, word_list, srv_info)


def test_a_plc_that_takes_few_registers_gets_them_in_pieces_and_the_bits_last() -> None:
    bank = PickyBank()
    station = Station(port := free_port(), max_registers_per_write=8)
    server = PromptServer(port, bank)
    with station.link:
        station.wait_for_kinds("connected")
        assert bank.writes == [(STATUS_AT + at, 8) for at in range(0, 64, 8)] + [(STATUS_AT + 64, 4)]
        bank.writes.clear()
        station.link.publish(PlcOutputs(heartbeat=1, online=True, inspection_id=3))
        wait_for(lambda: (STATUS_AT + 64, 1) in bank.writes or (STATUS_AT + 64, 4) in bank.writes, "the bits")
    server.stop()


def test_a_plc_that_takes_fewer_than_it_gets_is_reported_with_the_setting() -> None:
    station = Station(port := free_port())
    server = PromptServer(port, PickyBank())
    with station.link:
        station.wait_for_kinds("disconnected")
    server.stop()
    assert "check plc.status_address and plc.max_registers_per_write" in station.events[0].detail


@pytest.mark.parametrize("most", range(8, 124))
def test_pieces_cover_a_span_and_never_cut_a_value(most: int) -> None:
    starts = {point.address for point in points_of(Area.INPUT_REGISTER) if point.type.size == 2}
    for first in range(0, 68):
        found = list(pieces(first, 67, most))
        assert [at for start, end in found for at in range(start, end + 1)] == list(range(first, 68))
        assert all(end - start < most for start, end in found)
        assert all(end not in starts and end not in (64, 65, 66) for _, end in found)


class SmallBank(DataBank):
    """A PLC with 100 holding registers."""

    def __init__(self) -> None:
        super().__init__(h_regs_size=100)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"status_address": 90},
            "refused writing 68 holding registers at 90: exception 02.*; check plc.status_address",
        ),
        ({"status_address": 0, "control_address": 95}, "refused reading 14 .* at 95: .*; check plc.control_address"),
    ],
)
def test_a_layout_that_the_plc_does_not_have_is_reported(changes: dict[str, object], expected: str) -> None:
    station = Station(port := free_port(), **changes)
    server = PromptServer(port, SmallBank())
    with station.link:
        station.wait_for_kinds("disconnected")
    server.stop()
    assert re.search(expected, station.events[0].detail), station.events[0].detail
    assert station.inputs == []


def test_a_probe_reads_and_writes_nothing(station: Station, port: int) -> None:
    with pytest.raises(PlcError, match=rf"no connection to 127\.0\.0\.1:{port}: Connection refused: check the PLC"):
        station.link.probe()
    bank = RecordingBank()
    server = PromptServer(port, bank)
    station.link.probe()
    server.stop()
    assert bank.writes == []
    assert station.events == []


class ClosingServer(PromptServer):
    """A PLC that closes each connection after `answers` of them."""

    def __init__(self, port: int, bank: DataBank, answers: int = 1) -> None:
        super().__init__(port, bank)

        class Service(ModbusServer.ModbusService):
            sent = 0

            def _send_all(self, data: bytes) -> None:
                super()._send_all(data)
                self.sent += 1
                if self.sent == answers:
                    raise ModbusServer.NetworkError("it has answered often enough")

        self._service.RequestHandlerClass = Service


def test_a_plc_that_closes_after_each_answer_is_connected_and_that_is_said(station: Station, port: int) -> None:
    bank = DataBank()
    server = ClosingServer(port, bank)
    with station.link:
        station.wait_for_kinds("connected")
        assert "closes the connection after each answer" in station.events[0].detail
        station.link.publish(PlcOutputs(heartbeat=5))
        wait_for(lambda: bank.get_holding_registers(STATUS_AT + 1, 1) == [5], "the status")
        bank.set_holding_registers(CONTROL_AT, [0b11])
        wait_for(lambda: station.inputs[-1] == PlcInputs(trigger_enable=True, trigger=True), "the control block")
        assert [event.kind for event in station.events] == ["connected"], "no loss, no reset of the handshake"
    server.stop()


def test_a_plc_that_closes_later_is_lost_and_the_reason_is_said(station: Station, port: int) -> None:
    bank = DataBank()
    bank.set_holding_registers(CONTROL_AT, [1])
    server = ClosingServer(port, bank, answers=5)
    with station.link:
        wait_for(lambda: "disconnected" in [event.kind for event in station.events], "the loss")
        wait_for(lambda: station.inputs[:2] == [PlcInputs(trigger_enable=True), PlcInputs()], "the reset")
    server.stop()
    assert "closed the connection and did not answer" in station.events[1].detail


def test_a_host_that_answers_with_something_else_is_lost_and_not_believed(station: Station, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as listener:
        stop = threading.Event()

        def answer() -> None:
            listener.settimeout(0.1)
            while not stop.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.sendall(b"220 mail.example ESMTP\r\n" * 20)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(PlcError, match=r"no answer from|closed the connection"):
            station.link.probe()
        stop.set()
        thread.join()
    assert station.inputs == []


def test_over_a_serial_line_a_lost_frame_is_repeated_and_a_deaf_plc_is_lost() -> None:
    inputs: list[PlcInputs] = []
    events: list[LinkEvent] = []
    with SerialPair() as pair:
        plc = RtuSlave(pair.plc, unit=3)
        settings = ModbusClientSettings(
            SerialLine(pair.station),
            3,
            control_address=CONTROL_AT,
            status_address=STATUS_AT,
            response_timeout_s=0.3,
            reconnect_min_s=0.05,
        )
        with ModbusClientLink(settings, inputs.append, events.append):
            plc.set_coil(0, True)
            wait_for(lambda: bool(inputs) and inputs[-1].trigger_enable, "TriggerEnable")
            plc.lose(2)
            plc.set_coil(1, True)
            wait_for(lambda: inputs[-1].trigger, "Trigger, after two frames were lost")
            assert [event.kind for event in events] == ["connected"]
            plc.lose(1_000_000)
            wait_for(lambda: [event.kind for event in events] == ["connected", "disconnected"], "the loss")
            assert inputs[-1] == PlcInputs(trigger=True)
            plc.lose(0)
            wait_for(lambda: inputs[-1] == PlcInputs(trigger_enable=True, trigger=True), "the PLC to be back")
        plc.close()


def test_over_a_serial_line_an_answer_that_comes_late_is_no_lost_plc() -> None:
    """A PLC that is busy answers a request that was repeated meanwhile: the next one finds the old answer."""
    inputs: list[PlcInputs] = []
    events: list[LinkEvent] = []
    with SerialPair() as pair:
        plc = RtuSlave(pair.plc)
        line = SerialLine(pair.station)
        settings = ModbusClientSettings(line, control_address=CONTROL_AT, status_address=STATUS_AT)
        with ModbusClientLink(replace(settings, response_timeout_s=5.0), inputs.append, events.append) as link:
            wait_for(lambda: bool(inputs), "the connection")
            plc.repeat_late(6)
            for beat in range(1, 4):  # a write between two readings
                link.publish(PlcOutputs(heartbeat=beat))
                wait_for(lambda beat=beat: plc.get(STATUS_AT + 1, 1) == [beat], "the write")  # type: ignore[misc]
                plc.set_registers(0, [beat])
                wait_for(lambda beat=beat: inputs[-1].plc_heartbeat == beat, "the reading")  # type: ignore[misc]
        plc.close()
    assert [event.kind for event in events] == ["connected"]
