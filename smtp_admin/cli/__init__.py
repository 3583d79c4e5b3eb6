"""``flask smtp-admin …``: one module per group of commands, each of them thin."""
