"""Signalling: opens, judges and closes parts, and decides what the PLC reads. One thread, no locks.

In: `Message`s in the inbox of `stage.Signalling`. Out: `ports.Ports`, none of which may block. Nothing in this room
touches disk, network or a log, and all but the loop itself gets the time as an argument or from `Desk.clock`.

    trigger or frame ─► Opening ─► Judging ─► Closing ─► PLC, journal, record, ejector
                          │           │          │
                          └───────────┴──────────┴─► one Desk: Ledger, ViewMatching, Handshake, ChallengeDuty,
                                                     Condition, InForce, each the one owner of its state

A part is opened once and closed once, with one result. Five sets hold the open parts by acquisition id: the ledger, the
view matching, the handshake (`in_flight`), the ejection stage (through `TrackingFeed`) and the journal. After every
message and every tick they hold the same ids, and triggers = pass + fail + review + error + open. `Opening` and
`Closing` are the only places that change them; tests/line/signalling/test_signalling_machine.py checks it.
"""
