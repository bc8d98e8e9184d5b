"""Sums of the closed form as files: what a site knows of its good images, without one of them.

    blocks of an engine ──► export ──► NAME.sums.npz ──┐
                             └► masked ► NAME.share.npz ┴► combine ──► all.sums.npz ──► station teach --prior

Sums add exactly (`engines.detectors.sums`), so the sum over sites is that of all their images. Masks hide what a single
site adds from whoever combines: `masks`. Limits and refinement stay with the site that teaches.
"""
