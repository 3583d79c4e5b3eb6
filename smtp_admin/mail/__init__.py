"""E-mail types, their templates, and how a message becomes bytes."""
