"""What is done for many stations: the signed channel, from which each pulls the engine that it may take up.

    station fleet publish ──► folder, share or https: channel.json + .minisig, archive ──► station fleet pull ──► store

A station pulls, nobody pushes. What it pulls is a candidate: people activate it, through the gate of their station.
"""
