"""Tests of `station.reports.candidate`."""
