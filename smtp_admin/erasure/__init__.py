"""Everything about one address: found, exported, erased."""
