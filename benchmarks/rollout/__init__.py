"""What benchmarks/fleet_rollout.py is made of: a web server that dies, boards that are killed, models to roll out."""
