"""Real worker processes, and what becomes of them."""
