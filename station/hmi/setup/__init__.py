"""Set-up: what the pages of integrators rest on. Looks at the live memory, changes nothing by itself, asks the daemon.

pictures   the last picture of each camera with its figures; advice   what to do about light and focus
"""
