"""What can be known to be wrong with an application's use of Postlude, by its code alone."""
