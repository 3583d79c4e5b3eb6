"""Bytes in, outcomes out: one module per sending method."""
