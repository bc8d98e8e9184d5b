"""What people said of parts: good or defective, of which class, who said it when. A database of its own.

A label never changes a record. A correction is one more row; nothing that was said is changed or deleted.
"""
