"""Tests of a sender's settings."""
