"""Sums of a site as files, masked and not."""
