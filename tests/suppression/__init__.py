"""Lists of suppressed addresses: ours beside those that providers keep."""
