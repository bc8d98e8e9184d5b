"""How far the records have been sent to the plant: a cursor for each connector, in a database of its own.

The plant process (`station/northbound/`) writes it; retention, pages and commands read it.
"""
