"""The servers of these tests."""

from tests.drivers.plc.modbus.recorded_server import client, server, start

__all__ = ["client", "server", "start"]
