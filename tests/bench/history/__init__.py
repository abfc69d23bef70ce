"""A lab with years behind it: what its database holds by then, and a node that looks at it."""
