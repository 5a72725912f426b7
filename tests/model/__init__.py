"""Models of the protocols, every interleaving of which is walked."""
