"""Find settings from an address."""
