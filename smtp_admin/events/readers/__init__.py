"""From what each provider posts to events: one module a provider, and no word of SQL or Flask."""
