"""The pages of the dashboard: what each shows, as values that its template writes."""
