"""Measurements against peers, alternated in one run: ratios first, absolute times only beside them."""
