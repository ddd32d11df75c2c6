"""What messages say of names and values that others have given."""
