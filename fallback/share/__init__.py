"""Files to and from others: what this machine may give away, and how it is packed or found."""
