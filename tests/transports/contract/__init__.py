"""What every driver keeps to; each brings a sink, where its mail arrives."""
