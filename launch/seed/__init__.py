"""Reference data, and a demo world that is the same for the same seed and day."""
