"""Stations that break a rule, for the tests of the conformance test."""
