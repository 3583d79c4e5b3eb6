"""The suppression lists that providers keep themselves: read them, and take an address off them."""
