"""station.toml and recipes as typed sections, and which recipe was selected.

Pure but for the files it reads; frozen once loaded. Importing this room loads no numpy, no runtime and no driver of a
device: every command pays for it.
"""
