"""Simulated vendors: a market model and the servers that speak it (floor 4)."""
