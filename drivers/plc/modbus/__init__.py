"""Modbus: the four links to a PLC (TCP or RTU, server or client), and the only package that imports pymodbus.

    tcp_server.py ─┐                                   client.py   the station reads and writes the PLC's registers
                   ├─ device.py   what a request does               (pymodbus' own client, TCP or serial)
    rtu_server.py ─┘
      rtu_frames.py   frames of a serial line         identification.py   what the device says of itself

pymodbus' own server is not used, because of what it does to a PLC that misbehaves (3.16): of several requests
that arrive together it responds only to the last, it keeps buffering after a frame that is not Modbus, it takes any
value for a coil, and it cannot distinguish one client from another.

Each link runs on one thread named `modbus`, which calls `on_inputs` and `on_link_event`; they must not block. `publish`
may be called from any one thread and only replaces a reference.
"""

import logging

from drivers.plc.modbus.client import ModbusClientLink
from drivers.plc.modbus.identification import Identification
from drivers.plc.modbus.rtu_server import ModbusRtuServerLink
from drivers.plc.modbus.settings import (
    ModbusClientSettings,
    ModbusRtuServerSettings,
    ModbusServerSettings,
    SerialLine,
    TcpAddress,
)
from drivers.plc.modbus.tcp_server import ModbusTcpServerLink

__all__ = [
    "Identification",
    "ModbusClientLink",
    "ModbusClientSettings",
    "ModbusRtuServerLink",
    "ModbusRtuServerSettings",
    "ModbusServerSettings",
    "ModbusTcpServerLink",
    "SerialLine",
    "TcpAddress",
]

# Bad frames are answered and reported here; pymodbus' own warnings would let one client flood the log.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)
