"""The SMTP driver: its fields, its test, its transport."""
