"""The parts on the simulated belt, their pictures and their order."""
