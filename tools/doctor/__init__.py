"""Whether a live stack does what it is for: what is in effect is what is declared, and what goes in comes out."""
