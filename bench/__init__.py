"""Figures: each file measures one thing beside a limit or a peer in the same run, and prints ratios."""
