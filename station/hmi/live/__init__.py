"""Live: what all open pages share (`hub`), what needs a person (`alarms`), all of it in a person's language (`words`).

It reads the live memory (`station.live`) and the records, in the loop of the server; the page is `pages/live.py`.
"""
