"""Tests of `station.daemon.candidate`."""
