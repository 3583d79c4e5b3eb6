"""Bytes in, outcomes out: one module per way of sending."""
