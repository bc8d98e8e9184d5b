"""The process of a running station: starts, wires, supervises, changes over and stops the stages of the line.

One main thread starts everything and then watches. Only `assembly` chooses drivers, only `changeover` keeps the active
configuration. Nothing imports this room but `commands` and `commissioning`.
"""
