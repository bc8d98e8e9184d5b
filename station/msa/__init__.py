"""Attribute agreement studies: do station and people find the same, and what is known to be true?

Known parts are shown again and again in a blind order (AIAG MSA, 4th edition; VDA 5). `study` is the plan with its
orders, `statistics` and `analysis` are pure; `storage` owns `msa.db`; what a station said stays in its records.

    plan ─► trials of the station (as a challenge test) ─┐
       └──► trials of people (blind, page or shell) ─────┴─► analysis ─► page, PDF, CSV
"""
