"""What is on disk and how to read it: each table is a module with its rows, its statements and its queries.

One thread of the station writes (`line/recording`); any process reads through `schema.open_reader`. Nothing here starts
a thread, and no row is a type of the line.
"""
