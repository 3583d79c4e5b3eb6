"""The connection test, through HTTP, against servers that behave in every bad way."""
