"""The synchronous grammar: what is said in one language and how the other says it, down to aligned words."""
