"""Who did what, and the limits that are counted from it."""
