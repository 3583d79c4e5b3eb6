"""Tests of what ends some day."""
