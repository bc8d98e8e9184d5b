"""Heads of the audit chains that were kept elsewhere: in logs, reports, evidence files, at the plant."""
