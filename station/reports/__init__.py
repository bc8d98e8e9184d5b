"""What a person reads about a part: its trace and its picture.

Made from `records` alone, by commands and later by pages; the line never waits for a report.
"""
