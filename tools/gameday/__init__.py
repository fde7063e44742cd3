"""Game days: scripted incidents on a stack of their own, and what was noticed of them."""
