"""The evaluation as a page, `report.html`: the verdict first, then what happens to parts, in the look of the dossier.

`first.py` says what stands on top and which mistakes to look at, `writing.py` draws these and writes the page. All
figures are those of `results.json`; `report.md` has every table.
"""
