"""Edges towards the vendors: sockets, connections, replay (floor 3)."""
