"""Detectors of papers that the default did not take: `station evaluate` measures them, teaching does not offer them."""
