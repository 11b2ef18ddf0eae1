"""The OpenAPI document, derived from the route table and the contract's descriptors."""
