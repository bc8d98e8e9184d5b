"""AIAG's published example: MSA reference manual, 4th edition, page 134 (3rd: 127), 50 parts, three appraisers A, B, C.

One row a part: three trials of A, of B, of C, then what is known. 1 is accepted. The same worksheet is that of SigmaXL
("Attribute MSA - AIAG") and JMP ("Attribute Gauge"), whose published counts agree with it.
"""

from __future__ import annotations

from station.msa.storage import Rating
from station.msa.study import KnownPart, Study

_GOOD = "111 111 111 1"
_BAD = "000 000 000 0"
_OTHERS = {
    6: "110 110 100 1",
    7: "111 111 101 1",
    12: "000 000 010 0",
    14: "110 111 100 1",
    21: "110 101 010 1",
    22: "001 010 110 0",
    26: "010 000 001 0",
    30: "000 001 000 0",
    34: "001 001 011 0",
    36: "110 111 101 1",
    43: "101 111 110 1",
}
_ALL_REJECT = (3, 4, 5, 9, 25, 37, 39, 42, 45, 48, 50)
ROWS = {number: (_OTHERS.get(number) or (_BAD if number in _ALL_REJECT else _GOOD)).split() for number in range(1, 51)}
STUDY = Study("aiag", tuple(KnownPart(str(number), row[3] == "1") for number, row in ROWS.items()), 3, seed=1)
RATINGS = [
    Rating(appraiser, trial, str(number), row[column][trial - 1] == "1")
    for number, row in ROWS.items()
    for column, appraiser in enumerate("ABC")
    for trial in (1, 2, 3)
]
