"""`make bench`: what waiting costs here, side by side with what a user would pick instead."""
