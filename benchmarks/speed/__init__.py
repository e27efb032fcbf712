"""What the engine does in a second, on PostgreSQL with every commit on disk; see prove.py."""
