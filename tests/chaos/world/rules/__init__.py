"""What was promised, one file for each part of it. A rule takes the record and yields the
violations that it finds."""
