"""The migrations of smtp_admin's tables, run by ``flask smtp-admin db upgrade``."""
