"""Who somebody is: accounts, passwords, sessions and the tokens that speak for them."""
