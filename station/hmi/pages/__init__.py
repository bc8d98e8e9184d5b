"""One module a page: `routes()` returns what it serves. A page asks `station.hmi`'s modules and knows no database."""
