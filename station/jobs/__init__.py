"""What takes minutes, in a process of its own: teaching, plans, refresh, comparison."""
