"""How fast mail goes out, measured against peers in the same run."""
