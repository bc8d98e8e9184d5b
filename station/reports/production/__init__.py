"""What a shift or a period was worth: how many defects were found and missed, how many good parts were rejected, how
fast, how much work for people. Every figure has its number of parts, its interval, and how it was got; what nobody has
looked at is not known, and the report says so.

`estimators` is arithmetic, `reading` knows the databases, `figures` makes sentences and numbers, the rest draws them.
"""
