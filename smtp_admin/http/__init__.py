"""Calls over HTTP to where our dialling policy allows it."""
