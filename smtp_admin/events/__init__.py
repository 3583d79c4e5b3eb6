"""What became of mail after it was sent, as its provider tells: webhooks and their events."""
