"""`python -m edgevit` is the `edgevit` command."""

from edgevit.cli import main

main()
