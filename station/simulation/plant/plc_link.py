"""The PLC's Modbus TCP client: reads the status block, writes the control block, once per scan.

The client is pyModbusTCP, which shares no code with the server in the station, and the addresses are those of the
handshake document, not of the station's signal map: the two sides agree only if both follow the document.
"""

from __future__ import annotations

from pyModbusTCP.client import ModbusClient

from station.simulation.plant.plc_signals import Control, StationStatus

# Control block: coils and holding registers.
TRIGGER_ENABLE, TRIGGER, RESULTS_ACK, BUFFER_ENABLE, EXECUTE, CLEAR_ERROR, CLEAR_EXPOSURE_COMPLETE = range(7)
REJECT_CONFIRMED, BIN_FULL, CHALLENGE_MODE, LATCH_PART_ID, PART_AT_EJECTOR = 8, 9, 10, 11, 15
COILS = 16
PLC_HEARTBEAT, COMMAND, PART_ID = 0, 1, 3  # each followed by: CommandArgument (2); EncoderCount (5-6)
ENCODER_NOW = 8
BATCH_NAME, BATCH_NAME_REGISTERS = 10, 16
# Status block: discrete inputs and input registers.
TRIGGER_READY, TRIGGER_ACK, EXPOSURE_COMPLETE, RESULTS_VALID, PASS, REJECT = 1, 2, 4, 6, 7, 8
COMMAND_COMPLETED, COMMAND_FAILED, FAULT, PART_ID_ACK, CHALLENGE_RUNNING = 13, 14, 15, 19, 25
EJECTOR1, LINE_STOP = 20, 24
DISCRETE_INPUTS = 27
HEARTBEAT, ACQUISITION_ID, INSPECTION_ID, PART_ID_ECHO, RESULT, REASON_CODE, RECIPE = 1, 8, 10, 12, 14, 15, 23
ENCODER_ECHO = 28
COMMAND_RESULT = 49
INPUT_REGISTERS = 50

REGISTERS_EVERY_S = 0.2
RECONNECT_EVERY_S = 0.5


class StationLink:
    """One connection to the station. A failed request closes it; it is opened again after a pause."""

    def __init__(self, host: str, port: int, unit_id: int = 1, timeout_s: float = 0.5) -> None:
        self._client = ModbusClient(host=host, port=port, unit_id=unit_id, timeout=timeout_s, auto_open=False)
        self._open_again_s = 0.0
        self._registers_due_s = 0.0
        self._registers = [0] * INPUT_REGISTERS
        self._written: Control | None = None

    @property
    def is_open(self) -> bool:
        return bool(self._client.is_open)

    def close(self) -> None:
        """Ends the connection; it is opened again when something is read."""
        self._client.close()

    def read(self, now_s: float) -> StationStatus | None:
        """The status block; None while the station does not answer.

        Bits first: a result stays in the registers for as long as its ResultsValid is not acknowledged, so registers
        read after the bit belong to it. The same holds for AcquisitionId and TriggerAck. Without either they are read
        only now and then, for the heartbeat.
        """
        if not self._client.is_open and not self._open(now_s):
            return None
        bits = self._client.read_discrete_inputs(0, DISCRETE_INPUTS)
        if bits is None or len(bits) < DISCRETE_INPUTS:
            self._failed(now_s)
            return None
        announced = bits[RESULTS_VALID] or bits[TRIGGER_ACK] or bits[COMMAND_COMPLETED] or bits[COMMAND_FAILED]
        if announced or now_s >= self._registers_due_s:
            registers = self._client.read_input_registers(0, INPUT_REGISTERS)
            if registers is None or len(registers) < INPUT_REGISTERS:
                self._failed(now_s)
                return None
            self._registers = registers
            self._registers_due_s = now_s + REGISTERS_EVERY_S
        return StationStatus(
            trigger_ready=bits[TRIGGER_READY],
            trigger_ack=bits[TRIGGER_ACK],
            exposure_complete=bits[EXPOSURE_COMPLETE],
            results_valid=bits[RESULTS_VALID],
            pass_=bits[PASS],
            reject=bits[REJECT],
            command_completed=bits[COMMAND_COMPLETED],
            command_failed=bits[COMMAND_FAILED],
            fault=bits[FAULT],
            part_id_ack=bits[PART_ID_ACK],
            challenge_running=bits[CHALLENGE_RUNNING],
            ejector1=bits[EJECTOR1],
            line_stop=bits[LINE_STOP],
            heartbeat=self._registers[HEARTBEAT],
            acquisition_id=self._u32(ACQUISITION_ID),
            inspection_id=self._u32(INSPECTION_ID),
            part_id=self._u32(PART_ID_ECHO),
            encoder=self._u32(ENCODER_ECHO),
            result=self._registers[RESULT],
            reason_code=self._registers[REASON_CODE],
            recipe=self._registers[RECIPE],
            command_result=self._registers[COMMAND_RESULT],
            written=self._written or Control(),
        )

    def write(self, control: Control, now_s: float) -> bool:
        """Writes what has changed since the last scan: registers first, so that LatchPartId finds its id."""
        if not self._client.is_open:
            return False
        before = self._written
        written = True
        if before is None or before.heartbeat != control.heartbeat:
            written = self._client.write_single_register(PLC_HEARTBEAT, control.heartbeat)
        if before is None or (before.part_id, before.encoder) != (control.part_id, control.encoder):
            words = [*_words(control.part_id), *_words(control.encoder % 0x1_0000_0000)]
            written = written and self._client.write_multiple_registers(PART_ID, words)
        if control.batch_name != ("" if before is None else before.batch_name):
            written = written and self._client.write_multiple_registers(BATCH_NAME, _letters(control.batch_name))
        command = [control.command, control.command_argument]
        if before is None or command != [before.command, before.command_argument]:
            written = written and self._client.write_multiple_registers(COMMAND, command)
        if control.encoder_now != (0 if before is None else before.encoder_now):
            written = written and self._client.write_multiple_registers(ENCODER_NOW, _words(control.encoder_now))
        coils = _coils(control)
        if before is None or _coils(before) != coils:
            written = written and self._client.write_multiple_coils(0, coils)
        if not written:
            self._failed(now_s)
            return False
        self._written = control
        return True

    def _open(self, now_s: float) -> bool:
        if now_s < self._open_again_s:
            return False
        self._open_again_s = now_s + RECONNECT_EVERY_S
        self._written = None
        return bool(self._client.open())

    def _failed(self, now_s: float) -> None:
        self._client.close()
        self._open_again_s = now_s + RECONNECT_EVERY_S

    def _u32(self, address: int) -> int:
        return self._registers[address] << 16 | self._registers[address + 1]


def _words(value: int) -> list[int]:
    """32 bits as two registers, high word first."""
    return [value >> 16, value & 0xFFFF]


def _letters(text: str) -> list[int]:
    """Two letters a register, the first in the high byte, zeros behind the last."""
    letters = text.encode("ascii").ljust(2 * BATCH_NAME_REGISTERS, b"\0")
    return [high << 8 | low for high, low in zip(letters[::2], letters[1::2], strict=True)]


def _coils(control: Control) -> list[bool]:
    coils = [False] * COILS
    coils[TRIGGER_ENABLE] = control.trigger_enable
    coils[TRIGGER] = control.trigger
    coils[RESULTS_ACK] = control.results_ack
    coils[BUFFER_ENABLE] = control.buffer_enable
    coils[EXECUTE] = control.execute
    coils[CLEAR_ERROR] = control.clear_error
    coils[CHALLENGE_MODE] = control.challenge_mode
    coils[CLEAR_EXPOSURE_COMPLETE] = control.clear_exposure_complete
    coils[LATCH_PART_ID] = control.latch_part_id
    coils[REJECT_CONFIRMED] = control.reject_confirmed
    coils[BIN_FULL] = control.bin_full
    coils[PART_AT_EJECTOR] = control.part_at_ejector
    return coils
