"""What people do here, a file a use case; each opens its one transaction and nothing else does."""
