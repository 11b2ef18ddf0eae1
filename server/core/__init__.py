"""What every domain shares; it knows no domain."""
