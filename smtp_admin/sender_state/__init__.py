"""In what state a sender is: one function decides, and every page, command and answer asks it."""
