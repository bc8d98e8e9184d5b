"""Live memory: what the station shows of itself right now, in a file in memory that other processes read.

    signalling ──► feed ──► stage (thread) ──► live ──► reading, in the process of the pages
                   newest part,                  ▲           │
                   lines of the last 32          └─ watch ◄──┘  somebody looks: pictures are wanted

The line stores one reference a part and never waits; a reader that dies, stops or lies costs it nothing: it opens the
file read-only, and all that the station reads of it is the time of its last look. `memory` is the format (a sequence
lock and a checksum), `part_message` what is shown of a part: verdict and pictures in one piece, so that they can never
be of two parts.
"""
