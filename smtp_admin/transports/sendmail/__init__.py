"""The sendmail driver: hand each mail to the program that this machine's mail server brings along."""
