"""What benchmarks/peers.py compares: an adapter for each runtime, a process for each measured row, table and plot."""
