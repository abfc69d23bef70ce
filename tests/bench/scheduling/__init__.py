"""A model of a workshop, and the policies that are held against each other in it."""
