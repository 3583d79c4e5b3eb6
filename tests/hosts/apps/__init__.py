"""Apps as people have them, each run in a process of its own from a folder of its own."""
