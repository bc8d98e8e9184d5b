"""The images of a training: listing, grouping of copies, regions to ignore, their features.

Everything here goes by the place of an image in the data set, from 0 in the order of capture.
"""
