"""``flask smtp-admin …``: one module per group of commands, each of them thin."""

from smtp_admin.cli.main import commands

__all__ = ["commands"]
