"""What a login is made of."""
