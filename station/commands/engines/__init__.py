"""Commands about engines: teach and refresh them, what is in the store, plans, measuring detectors."""
