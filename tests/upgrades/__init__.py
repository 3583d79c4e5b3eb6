"""Databases of earlier versions, and what must still be in them after an upgrade."""
