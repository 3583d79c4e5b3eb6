"""What ends some day: secrets, sign-ins, certificates, tokens and keys, in one table."""
