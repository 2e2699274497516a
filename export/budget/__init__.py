"""Choosing an export by its time on the board: which input size, format and precision fit a budget."""
