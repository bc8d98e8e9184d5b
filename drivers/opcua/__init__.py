"""OPC UA: the wire, and the types of OPC 40100-1. The only importer of asyncua.

    facts of the companion specification ──► address space ──► server ◄──── clients
                                                                 │ ▲
    values, events, deliveries ◄─────────────────────────────────┘ └── own certificate, trusted ones, users

What the station says over it is decided in `station/northbound/opcua`. The modules of facts load no library.
"""
