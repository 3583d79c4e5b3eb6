"""The staged connection test, and what its result means."""
