"""How good a detector is, also when defective images have slipped into the training set: the protocol of the papers.

`layouts` finds the images and their truth, `protocol` says who is learned and who is tested, `runner` does one run,
`workers` does many, `report` tells people.
"""
