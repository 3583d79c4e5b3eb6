"""Send over the API of Amazon SES."""
