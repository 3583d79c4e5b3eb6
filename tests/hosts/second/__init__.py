"""A host app that has nothing in common with the example; it runs against the built wheel only."""
