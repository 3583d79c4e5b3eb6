"""The protocol, the dialling policy and the SMTP transport."""
