"""What a detector is and how it runs. Imports neither station nor drivers; only training reaches PyTorch."""
