"""Mail providers: what each wants, as data, and who owns a host or an address."""
