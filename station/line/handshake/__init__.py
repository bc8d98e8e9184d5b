"""The handshake: what each bit and register of the map means, and when it changes. Owned by the signalling thread.

In: the PLC's control block (`plc_wrote`), time (`tick`), what happens to parts (`trigger_accepted`,
`exposure_completed`, `result`) and to the station (`station_changed`). Out: requests of `messages.py`, and the status
block (`outputs`).

    TriggerReady ─► Trigger ─► TriggerAck, Busy ─► ExposureComplete ─► ResultsValid ─► ResultsAck ─► TriggerReady

Pure, all but `publisher.py`: no thread, no clock, no lock. Reject is 1 unless ResultsValid and Pass are.
"""
