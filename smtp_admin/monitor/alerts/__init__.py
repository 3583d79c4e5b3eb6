"""Alerts: one for each incident, told when it opens and when it ends."""
