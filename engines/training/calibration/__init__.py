"""Turns scores of good images into the limits of an engine, with the promise they hold."""
