"""What needs two people: what one has asked waits on the station until a second one with the role confirms it."""
