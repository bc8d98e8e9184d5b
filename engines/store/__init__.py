"""All versions of an engine that a product ever had, which one is active, and the history of both."""
