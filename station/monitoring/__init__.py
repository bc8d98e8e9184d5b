"""Watching whether the station still sees what it was taught: drift of pictures, scores and shares, and what it means.

record ─► `stage` ─► `watch` ─► `streams`: learned band or share ─► `e_detector` ─► `diagnosis` ─► warning, event
"""
