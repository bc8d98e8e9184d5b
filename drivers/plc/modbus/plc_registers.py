"""Holding registers of a PLC, read and written through pymodbus' client, over TCP or a serial line.

Connections and ports are opened here, for errors that say what to do; pymodbus frames and matches the responses.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Sequence

from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.constants import ExcCodes
from pymodbus.exceptions import ConnectionException, ModbusException
from pymodbus.pdu import ModbusPDU

from drivers.plc.modbus.serial_port import open_port
from drivers.plc.modbus.settings import SerialLine, TcpAddress
from drivers.plc.protocol import PlcError
from drivers.plc.sockets import connect

RTU_RETRIES = 2
"""Noise costs a frame now and then. Repeating is harmless: both requests say what is to be or ask what is."""
_WITH_A_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: hundreds of connections a second must not use up the ports of this computer."""


class PromptSerialClient(ModbusSerialClient):
    """Takes what comes at once; pymodbus looks every millisecond, twice at least, and a whole core is busy with it."""

    def recv(self, size: int | None) -> bytes:  # noqa: ARG002  (its size is never known before)
        """What has come, nothing after the time-out. Whether it is a whole frame, pymodbus finds out."""
        if self.socket is None:
            raise ConnectionException(str(self))
        try:
            return bytes(self.socket.read(1) + self.socket.read(self.socket.in_waiting))
        except OSError as error:
            self.close()  # type: ignore[no-untyped-call]
            raise ConnectionException(str(self)) from error


class RegistersLost(Exception):
    """The PLC does not answer, or not as it should. Says what to do."""


class ClosedByPlc(RegistersLost):
    """The PLC closed the connection before it answered."""


class PlcRegisters:
    """One PLC. Every method but `close` raises RegistersLost; then it must be closed and opened again.

    Some PLCs close the connection after each answer. A connection that ends after exactly one is such a one: from then
    on each request has a connection of its own. One that ends later is a loss: the PLC may have been restarted.
    """

    def __init__(self, plc: TcpAddress | SerialLine, unit_id: int, timeout_s: float) -> None:
        self._plc = plc
        self._unit_id = unit_id
        self._timeout_s = timeout_s
        self._client: ModbusTcpClient | ModbusSerialClient | None = None
        self._gap_s = plc.gap_s if isinstance(plc, SerialLine) else 0.0
        self._silent_since_s = 0.0
        self._answers = 0
        """On this connection."""
        self.closes_after_answer = False
        """The PLC was seen to close the connection after one answer."""

    def open(self) -> None:
        """Connects."""
        self.closes_after_answer = False
        self._connect()

    def _connect(self) -> None:
        self._answers = 0
        try:
            if isinstance(self._plc, SerialLine):
                serial = PromptSerialClient(
                    self._plc.port, baudrate=self._plc.baud_rate, timeout=self._timeout_s, retries=RTU_RETRIES
                )
                serial.socket = open_port(self._plc, self._timeout_s)
                self._client = serial
            else:
                tcp = ModbusTcpClient(self._plc.host, port=self._plc.port, timeout=self._timeout_s, retries=0)
                tcp.socket = connect(self._plc.host, self._plc.port, self._timeout_s)
                self._client = tcp
        except PlcError as error:
            raise RegistersLost(str(error)) from error

    def close(self) -> None:
        """Harmless when not open."""
        if self._client is not None:
            self._client.close()  # type: ignore[no-untyped-call]
            self._client = None

    def read(self, address: int, count: int, setting: str) -> list[int]:
        """`count` registers by one request (function 3). `setting` names what an illegal address comes from."""
        answer = self._ask(3, address, [0] * count, setting)
        if len(answer.registers) != count:
            raise RegistersLost(f"{self._plc} answered {len(answer.registers)} registers instead of {count}")
        return list(answer.registers)

    def write(self, address: int, values: Sequence[int], setting: str) -> None:
        """Registers by one request (function 16)."""
        answer = self._ask(16, address, values, setting)
        if (answer.address, answer.count) != (address, len(values)):
            raise RegistersLost(
                f"{self._plc} confirmed another write than that of {len(values)} registers at {address}"
            )

    def _ask(self, function: int, address: int, values: Sequence[int], setting: str) -> ModbusPDU:
        count = len(values)
        answer = self._ask_once(function, address, values)
        for _ in range(RTU_RETRIES if isinstance(self._plc, SerialLine) else 0):
            if answer.isError() or _belongs(answer, function, address, count):
                break
            # RTU frames have no number: this one came late, for a request that was repeated meanwhile.
            answer = self._ask_once(function, address, values)
        doing = f"{'reading' if function == 3 else 'writing'} {count} holding registers at {address}"
        if answer.isError():
            raise RegistersLost(f"{self._plc} refused {doing}: {_exception(answer.exception_code)}; check {setting}")
        if answer.function_code != function:
            raise RegistersLost(f"{self._plc} answered {doing} with function {answer.function_code}")
        return answer

    def _ask_once(self, function: int, address: int, values: Sequence[int]) -> ModbusPDU:
        if self.closes_after_answer and self._answers:
            self._connect_again()
        try:
            return self._request(function, address, values)
        except ClosedByPlc:
            if self._answers != 1:
                raise
        self.closes_after_answer = True
        self._connect_again()
        return self._request(function, address, values)

    def _connect_again(self) -> None:
        old = self._client.socket if self._client is not None else None
        if isinstance(old, socket.socket):
            old.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _WITH_A_RESET)
        self.close()
        self._connect()

    def _request(self, function: int, address: int, values: Sequence[int]) -> ModbusPDU:
        client = self._client
        if client is None:
            raise RegistersLost(f"{self._plc} is not connected")
        time.sleep(max(0.0, self._silent_since_s + self._gap_s - time.monotonic()))
        try:
            if function == 3:
                answer = client.read_holding_registers(address, count=len(values), device_id=self._unit_id)
            else:
                answer = client.write_registers(address, list(values), device_id=self._unit_id)
        except (ModbusException, OSError) as error:
            closed = isinstance(error, (ConnectionException, ConnectionError))
            if closed and not isinstance(self._plc, SerialLine):
                raise ClosedByPlc(
                    f"{self._plc} closed the connection and did not answer: check plc.unit_id, and whether the PLC "
                    "takes another connection"
                ) from error
            raise RegistersLost(
                f"no answer from {self._plc}, unit {self._unit_id}, within {self._timeout_s:g} s: "
                "check the PLC, its wiring and plc.unit_id"
            ) from error
        self._silent_since_s = time.monotonic()
        self._answers += 1
        return answer


def _belongs(answer: ModbusPDU, function: int, address: int, count: int) -> bool:
    """The answer may be that to this request."""
    if answer.function_code != function:
        return False
    return len(answer.registers) == count if function == 3 else (answer.address, answer.count) == (address, count)


def _exception(code: int) -> str:
    names = {member.value: member.name.lower().replace("_", " ") for member in ExcCodes}
    return f"exception {code:02X} {names.get(code, '')}".strip()
