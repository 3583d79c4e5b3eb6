"""Senders: whose mail goes out how, as immutable revisions with sealed passwords."""
