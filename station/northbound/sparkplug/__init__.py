"""Sparkplug B 3.0: the station as an edge node, its line as the device behind it.

    status, records ──► connector ──► edge_node (pure: births, sequence, rebirth, hosts) ──► drivers/mqtt ──► broker

`edge_node.py` decides what is sent and when, from what it is called with; it reads no clock and knows no socket.
`connector.py` carries that out, and moves the cursor of `station/forwarding`.
"""
