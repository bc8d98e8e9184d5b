"""Process values of the line (temperatures, pressures, speeds) read over Modbus, and whether they still go together.

`dynamic_pca` and `watching` are pure; `series` reads what was recorded. Reading the registers is a thread of the
daemon, off the line path. A process value never decides about a part: it is joined to parts by time, for whoever looks
for a cause.
"""
