"""What labelled defects add to a detector: their masks, a head fitted to them, its weight by leaving images out."""
