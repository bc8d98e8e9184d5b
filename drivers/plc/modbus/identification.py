"""Device identification, function 43 with MEI type 14: who the device is, for scanners and engineering tools.

Objects and read codes as in the Modbus Application Protocol V1.1b3, 6.21: 0 vendor, 1 product code, 2 revision (basic);
4 product name, 6 name that the user gave (regular). Pure: one request in, one response out.
"""

from __future__ import annotations

from dataclasses import dataclass

from pymodbus.constants import ExcCodes
from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.mei_message import ReadDeviceInformationResponse

FUNCTION, MEI_TYPE = 43, 14
BASIC, REGULAR, EXTENDED, ONE_OBJECT = 1, 2, 3, 4
LAST_BASIC = 2
CONFORMITY = 0x82
"""Regular objects, as a stream or one by one."""
LONGEST = 40
"""Characters of a value: all objects fit into one response of 253 bytes."""


class Unidentified(Exception):
    """The request is answered with an exception."""

    def __init__(self, code: ExcCodes) -> None:
        super().__init__(code.name)
        self.code = code


@dataclass(frozen=True, slots=True)
class Identification:
    """What the device says of itself; other characters than those of ASCII become `?`."""

    vendor: str = "Edge inspection station"
    product_code: str = "inspection-station"
    revision: str = ""
    product_name: str = "Edge inspection station"
    user_name: str = ""
    """What the user calls this station."""

    def answer(self, pdu: bytes) -> ModbusPDU:
        """The response, without transaction and unit id. Raises Unidentified."""
        if pdu[1:2] != bytes([MEI_TYPE]):
            raise Unidentified(ExcCodes.ILLEGAL_FUNCTION)
        if len(pdu) != 4 or not BASIC <= pdu[2] <= ONE_OBJECT:
            raise Unidentified(ExcCodes.ILLEGAL_VALUE)
        response = ReadDeviceInformationResponse(read_code=pdu[2], information=self._asked(pdu[2], pdu[3]))
        response.conformity = CONFORMITY
        return response

    def _asked(self, read_code: int, first: int) -> dict[int, bytes]:
        texts = {0: self.vendor, 1: self.product_code, 2: self.revision, 4: self.product_name, 6: self.user_name}
        objects = {number: text.encode("ascii", "replace")[:LONGEST] for number, text in texts.items()}
        if read_code == ONE_OBJECT:
            if first not in objects:
                raise Unidentified(ExcCodes.ILLEGAL_ADDRESS)
            return {first: objects[first]}
        start = first if first in objects else 0  # by the standard: an unknown first object starts at the beginning
        last = LAST_BASIC if read_code == BASIC else max(objects)
        return {number: value for number, value in objects.items() if start <= number <= last}


ANONYMOUS = Identification()
"""A link that nobody gave a name."""
