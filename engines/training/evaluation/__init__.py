"""How good a detector is, also when defective images have slipped into the training set: the protocol of the papers.

`layouts` finds the images and their truth, `protocol` says which images are trained on and which are tested, `runner`
does one run, `workers` does many, `report` writes the pages for people.
"""
