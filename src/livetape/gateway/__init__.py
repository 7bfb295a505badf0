"""The edge towards users: page, streams and REST (floor 3)."""
