"""How arguments and results are written as JSON and come back as they were."""
