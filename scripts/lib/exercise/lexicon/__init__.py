"""The words, and what they need around them."""
