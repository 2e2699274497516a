"""Telling a board, once, which site it follows; and the systemd timer that looks there."""
