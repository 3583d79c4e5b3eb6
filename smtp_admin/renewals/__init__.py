"""Renewal reminders: settings, the schedule, the ledger of notices, and what customers ask for."""
