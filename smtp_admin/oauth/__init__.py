"""Tokens of OAuth2 that are kept: sealed, renewed by one for all, and granted by signing in."""
