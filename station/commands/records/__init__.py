"""Commands that read what is on record: parts, counts, pictures. The station may run or stand meanwhile."""
