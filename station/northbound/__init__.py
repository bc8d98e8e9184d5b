"""What the plant is sent, by a process of its own beside the line: `station plant run`.

    records.db ──cursor──┬─► sender ──► webhook: CloudEvents, signed, over https
                         ├─► sparkplug/: edge node over MQTT, with the status of the line
                         ├─► opcua/: a vision system that clients read
                         ├─► postgres/: rows and sums, where all stations stand side by side
                         └─► images/: pictures to a folder that many stations share

It reads the records and holds nothing of them for longer than a look; what it could not send waits where it is, in the
records. The line does not know whether anybody listens.
"""
