"""Pure values and rules of the workshop: no database, no clock, no network."""
