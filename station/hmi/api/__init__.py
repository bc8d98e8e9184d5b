"""The API for programs, `/api/v1`: the table of endpoints, from which OpenAPI is made, and what Prometheus reads.

A program shows a token (`station/access/tokens.py`); the cookie of a page opens nothing here. Errors are problem+json.
Within v1 fields are only added. What a page and the API show comes from the same queries.
"""
