"""`station plc conformance`: does a station keep the rules of docs/plc.md?

The tool plays the PLC: a correct one, and many that make a mistake which PLC programs make. Each rule is one function
(`rules/`) in one registry (`registry`), which the command, its report and the table in docs/plc.md are made from. The
tool shares no code with the station's handshake or its links, so that both are right only if both follow the document.
"""
