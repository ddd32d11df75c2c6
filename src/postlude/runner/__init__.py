"""What runs: claims are held here, executed on the loop or on threads, and their ends written."""
