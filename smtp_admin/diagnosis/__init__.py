"""What a failure comes from, and what to do about it."""
