"""What the page Review works with: the queue at its desk, and pictures that are ready when they are asked for."""
