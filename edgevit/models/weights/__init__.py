"""Files of weights: found, read, checked, loaded."""
