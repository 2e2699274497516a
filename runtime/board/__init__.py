"""What a board says of itself while it runs: which model, since when, how fast, how warm, what waits."""
