"""``make soak``: hours of steady submissions, and what grows meanwhile."""
