"""`make bench`: measure what a waiting task costs, here and elsewhere."""
