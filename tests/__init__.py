"""The tests of smtp_admin."""
