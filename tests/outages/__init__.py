"""The surroundings of delivery fail while real worker processes send: Redis, database, network."""
