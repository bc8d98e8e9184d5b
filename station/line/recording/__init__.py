"""The one writer: journal, rows, images, disk budget, one log line a part."""
