"""The recorded tape on disk (floor 3)."""
