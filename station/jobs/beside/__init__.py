"""What looks at the station every now and then, beside the line: a thread that waits, and a process of low priority.

Each is a companion of the watch (`station.monitoring.stage.Companion`): started and stopped with it, with a status.
"""
