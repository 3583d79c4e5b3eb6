"""The outbox and everything that empties it, on every database that is supported."""
