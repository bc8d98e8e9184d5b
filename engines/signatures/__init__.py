"""Who made an engine: signatures in minisign's format (`minisign.py`), the keys to sign with (`secret_key.py`), and the
keys that a station trusts (`trust.py`).

What is signed is the archive of an engine (`engines.bundle.archive`); this room knows bytes and hashes only.
"""
