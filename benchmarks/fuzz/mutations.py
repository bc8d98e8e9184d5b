"""Changes to good input: bits, numbers at their limits, pieces that are doubled, exchanged or missing."""

from __future__ import annotations

import random
import struct

EDGES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x1_0000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)
WORDS = (
    b"null", b"true", b"-1", b"0", b"1e999", b"-1e-999", b"nan", b"inf", b"9" * 400, b'""', b"[]", b"{}", b"\xff\xfe",
    b"\x00", b"\xef\xbb\xbf", b"\r\n", b"../../etc/passwd", b"\x1b[2J", b"%s%n", b"0x10", b"1_000", b"'", b'"""',
)  # fmt: skip
_LIMIT = 1 << 20


def mutated(data: bytes, rng: random.Random, *, changes: int = 3) -> bytes:
    """One to `changes` changes; never longer than 1 MB."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, changes)):
        _change(changed, rng)
    return bytes(changed[:_LIMIT])


def _change(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data) + 1)
    if not data:
        data += rng.randbytes(4)
        return
    place = min(at, len(data) - 1)
    match rng.randrange(9):
        case 0:
            data[place] ^= 1 << rng.randrange(8)
        case 1:
            data[place] = rng.randrange(256)
        case 2:
            size, code = rng.choice(((1, "B"), (2, "H"), (4, "I")))
            value = rng.choice(EDGES) & ((1 << 8 * size) - 1)
            packed = struct.pack(rng.choice("<>") + code, value)
            data[place : place + size] = packed
        case 3:
            del data[at:]
        case 4:
            del data[place : place + rng.choice((1, 2, 4, 16, 512))]
        case 5:
            data[at:at] = rng.randbytes(rng.choice((1, 3, 16, 200)))
        case 6:
            piece = data[place : place + rng.choice((4, 16, 64, 512))]
            to = rng.randrange(len(data) + 1)
            data[to:to] = piece * rng.choice((1, 1, 2, 50))
        case 7:
            data[at:at] = rng.choice(WORDS)
        case _:
            size = min(rng.choice((4, 16, 64)), len(data))
            first, second = rng.randrange(len(data) - size + 1), rng.randrange(len(data) - size + 1)
            data[first : first + size] = data[second : second + size]


def mutated_text(text: str, rng: random.Random, *, changes: int = 3) -> bytes:
    """Lines that are doubled, exchanged, missing, or have another value; sometimes bytes as in `mutated`."""
    lines = text.splitlines()
    for _ in range(rng.randint(1, changes)):
        at = rng.randrange(len(lines)) if lines else 0
        match rng.randrange(6):
            case 0 if lines:
                del lines[at]
            case 1 if lines:
                lines.insert(rng.randrange(len(lines) + 1), lines[at])
            case 2 if lines:
                other = rng.randrange(len(lines))
                lines[at], lines[other] = lines[other], lines[at]
            case 3 if lines and "=" in lines[at]:
                lines[at] = f"{lines[at].partition('=')[0]}= {_value(rng)}"
            case 4 if lines and "=" in lines[at]:
                lines[at] = f"{_value(rng)} ={lines[at].partition('=')[2]}"
            case _:
                return mutated("\n".join(lines).encode(), rng, changes=changes)
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")


def _value(rng: random.Random) -> str:
    values = (
        "true", "-1", "0", "1", "1.5", "1e308", "nan", "inf", "-inf", '""', '"x"', "[]", "{}", "[[]]", '"/dev/zero"',
        "1979-05-27T07:32:00Z", '"' + "x" * 5000 + '"', '"\\u0000"', '"../.."', "99999999999999999999", "[1, 2]",
        '{ a = 1 }', "[[1, 2], [3, 4]]", '["a", 1]', '"[/x]"', '"\\u001b[2J"', '"simtl"', '"auto"', '"Mono8"', "0x7F",
    )  # fmt: skip
    return rng.choice(values)
