"""How sending is going: the numbers on the pages and in the API."""
