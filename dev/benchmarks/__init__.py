"""Measures what a waiting task costs."""
