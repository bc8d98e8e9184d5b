"""All that a station is in one file, while it runs: configuration, recipes, engines, records, labels. And back."""
