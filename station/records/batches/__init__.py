"""Batches: what is made for one order or lot, from when a person begins one until he ends it.

A part belongs to the batch that was open when it was triggered; its number stands in the column `extra` of the part, so
records of every version can be read by every other.
"""
