"""The look of the pages that a training writes: verdict first, pictures that enlarge, light and dark, no network.

`look.css` and `enlarge.js` stand in every page, allowed by their hash alone; `look.html.j2` has the pieces that pages
share; `look.py` makes a page of them.
"""
