"""The page of `--report`."""
