"""What an engine has learned, block by block."""
