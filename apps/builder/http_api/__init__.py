"""The form of the HTTP API with its Test, its mapping and its logs."""
