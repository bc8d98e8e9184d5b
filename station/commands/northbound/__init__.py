"""Commands of what is sent to the plant, and of what many stations have in common."""
