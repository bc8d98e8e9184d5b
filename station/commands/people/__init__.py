"""Commands around the pages for people: serving them, and who has an account."""
