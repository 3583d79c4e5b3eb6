"""The JSON API at ``/api/email``."""
