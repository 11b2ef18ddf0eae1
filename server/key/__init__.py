"""Keys of programs: of a clinic's partners, and of the platform's own tools."""
