"""The `carelane` command: runs the platform on one machine, or against services of your own."""
