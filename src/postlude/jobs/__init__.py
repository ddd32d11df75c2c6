"""Looking at jobs and acting on them. Knows no runner."""
