"""What happened on the simulated line against what the station says: books, report, contact sheet."""
