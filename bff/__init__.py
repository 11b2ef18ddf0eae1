"""The backend for the web: REST with JSON in front of the gRPC services."""
