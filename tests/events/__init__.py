"""Webhooks and events: what providers send, who forges it, and what becomes of mail."""
