"""One module per migration; ids have at most 32 characters."""
