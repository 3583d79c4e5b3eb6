"""From the outbox to the mail server: queueing, claiming, sending, recording, retrying."""
