"""What servers say, and whether it is understood."""
