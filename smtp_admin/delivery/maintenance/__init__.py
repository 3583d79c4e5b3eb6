"""What is done every few seconds for mail that no bell rings for."""
