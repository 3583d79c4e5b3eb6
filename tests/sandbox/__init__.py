"""Test installations, and copies of a database."""
