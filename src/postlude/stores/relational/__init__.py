"""The verbs of a journal in SQL: what its statements are run for, whatever database answers them."""
