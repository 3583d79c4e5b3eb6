"""The sendmail driver: hand each mail to the program of this machine's mail server."""
