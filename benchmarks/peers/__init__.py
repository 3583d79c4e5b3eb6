"""The scripts of the peers; each runs in a process, and most in an environment, of its own."""
