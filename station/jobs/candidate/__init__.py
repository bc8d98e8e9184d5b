"""What a refresh leaves beside its candidate, for people and for the refreshes after it."""
