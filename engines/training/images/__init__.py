"""The images of a training: listing, grouping of copies, regions to ignore, their features."""
