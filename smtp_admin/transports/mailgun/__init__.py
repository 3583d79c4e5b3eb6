"""Send over Mailgun's API."""
