"""Pages for people, a process of its own: live, review, parts, reports, set-up, maintenance.

It reads records and asks the daemon through the control socket; the line never waits for it. A page is a module in
`pages/` with `routes()`; every route has an entry in `rights.py`, or the process does not start.
"""
