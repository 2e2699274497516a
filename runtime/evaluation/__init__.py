"""How good models are on a folder of pictures."""
