"""What the plant is sent."""
