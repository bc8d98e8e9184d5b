"""Changing values in station.toml and recipes as a person with an editor would: line by line, comments where they were.

text   sets keys in the text of a TOML file; change   what differs between two configurations, and what may be set
"""
