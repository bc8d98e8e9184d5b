"""OPC UA for Machine Vision (OPC 40100-1): the station as a vision system that clients of the plant read.

    status of the daemon ──► states (pure: which state, which transitions, who may cause one) ──┐
    parts behind the cursor ──► results ────────────────────────────────────────────────────────┼─► drivers/opcua
    warnings and faults ──► conditions ─────────────────────────────────────────────────────────┘

`connector.py` carries that out and moves the cursor; the server runs in a thread of its own beside it.
"""
