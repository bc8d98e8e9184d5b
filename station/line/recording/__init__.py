"""The one writer: journal, rows, images, disk budget, one log line a part.

The only stage that touches disk and log. Other threads give rows to `stage.Recorder` and never wait for the disk; the
journal keeps what a killed process had not committed.
"""
