"""What a person reads about a part: its trace and its picture."""
