"""Image files of other people: one rule which files of a folder count, one reader for all that read them.

Teaching, evaluation, refresh, the folder camera and the demo see the same pixels of the same file. `listing.py` says
what is in a folder and what was left out, `header.py` reads sizes before anything is decoded and finds files that were
cut off, `reading.py` decodes.
"""
