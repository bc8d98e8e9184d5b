"""How the station does, for the page Health, for the API and for Prometheus: one look, three forms."""
