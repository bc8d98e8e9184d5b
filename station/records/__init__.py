"""What is on disk, and how to read it. Other processes use this room."""
