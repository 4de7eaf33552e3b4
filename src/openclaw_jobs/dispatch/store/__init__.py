"""SQL of dispatch, by what it is about: claims, leases, and the nodes with their waiters."""
