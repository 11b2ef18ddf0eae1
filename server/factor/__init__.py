"""What a person proves besides the password: authenticator apps, passkeys, recovery codes."""
