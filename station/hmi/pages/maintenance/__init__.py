"""The pages of maintenance: engines, teaching by hand, health, the guide through a challenge test."""
