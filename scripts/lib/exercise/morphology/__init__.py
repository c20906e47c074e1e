"""Inflection of German and English words, and numbers."""
