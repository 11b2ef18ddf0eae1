"""What becomes of an account: its addresses proven, its password reset, its end."""
