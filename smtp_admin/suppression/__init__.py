"""Addresses that get no mail, or no mail of some kinds, and why."""
