"""Tests of what is kept of OAuth2."""
