"""Calls over HTTP, by the one way that this platform dials."""
