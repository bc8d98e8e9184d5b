"""What the pages of maintenance show of engines: versions in the store, their dossiers, comparisons of two of them.

Only reads; what changes an engine is asked of the daemon, on behalf of the person.
"""
