"""`Frame` to scores, regions and `Decision`; joining the views of a part."""
