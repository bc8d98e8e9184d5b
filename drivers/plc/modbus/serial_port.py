"""Opens a serial port, with errors that say what to do."""

from __future__ import annotations

import errno
import os
import termios
from pathlib import Path

import serial

from drivers.plc.modbus.settings import SerialLine
from drivers.plc.protocol import PlcError

PTY_MAJORS = range(136, 144)
"""Device numbers of ptys in Linux."""


def open_port(line: SerialLine, timeout_s: float = 0.0) -> serial.Serial:
    """The port, locked against other programs, with nothing waiting in it. Reading and writing take at most
    `timeout_s`. Raises PlcError."""
    where = f"serial port {line} cannot be opened"
    try:
        port = serial.Serial(
            line.port,
            line.baud_rate,
            parity="N" if _is_pty(line.port) else line.parity,
            stopbits=line.stop_bits,
            timeout=timeout_s,
            write_timeout=timeout_s,
            exclusive=True,
        )
        port.reset_input_buffer()
    except (OSError, termios.error) as error:  # SerialException is an OSError
        hints = {
            errno.ENOENT: 'there is no such device; "ls /dev/serial/by-id" lists the adapters, set plc.serial_port',
            errno.EACCES: 'no permission; add the user of the station to the group "dialout"',
            errno.EAGAIN: "another program has it open; stop that one",
            errno.EBUSY: "another program has it open; stop that one",
            errno.ENOTTY: "this is no serial port; set plc.serial_port to one",
        }
        raise PlcError(f"{where}: {hints.get(_errno(error), str(error))}") from error
    except ValueError as error:
        raise PlcError(f"{where}: {error}; set plc.baud_rate, plc.parity and plc.stop_bits to what it can") from error
    return port


def _errno(error: BaseException) -> int:
    """Of the error, or of the one that pyserial wrapped; 0 when there is none."""
    causes = (error, error.__context__)
    return next((cause.args[0] for cause in causes if cause and cause.args and isinstance(cause.args[0], int)), 0)


def _is_pty(port: str) -> bool:
    """A pty (simulated lines) has no parity bits, and refuses a setting that asks for them."""
    return os.major(Path(port).stat().st_rdev) in PTY_MAJORS
