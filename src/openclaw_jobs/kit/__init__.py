"""Small shared parts that know nothing of the marketplace: errors, ids, clock, money, tokens."""
