"""What `scripts/chaos` kills, and when."""
