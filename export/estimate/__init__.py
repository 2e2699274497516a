"""How long a model would take on a board that is not at hand: an estimate, never a measurement."""
