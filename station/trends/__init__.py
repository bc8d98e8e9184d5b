"""What wears out: medians per day and recipe of what is on record, where they go, and what to do about it in time.

    records ─► reading: medians per day ─► statistics: slope, test, days to the limit ─► advice: cause and action

Reads records and writes `trends.json` beside them: medians of days that are over, which stay when rows go. Decides
about no part, and nothing of the line waits for it.
"""
