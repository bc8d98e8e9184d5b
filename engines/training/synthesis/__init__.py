"""Synthetic defects: drawn into pictures of good parts, shown to models that did not learn those, and what came of it.

    defects    what a defect looks like: stamps of seven kinds, and painting one into a picture
    places     where on a part it may lie
    trials     which defect is drawn into which picture, and the score that it gets
    fit        from scores and limits to the size that is found 9 times of 10, with confidence

Nothing here teaches: a synthetic defect never reaches the weights or the limits of an engine.
"""
