"""Letters to people, by e-mail and text message: a queue of who gets which, and its delivery."""
