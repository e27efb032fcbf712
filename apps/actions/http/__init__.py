"""The parts of HTTP API: building the request, reading the answer."""
