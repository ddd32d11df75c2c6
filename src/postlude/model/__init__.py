"""What is true: jobs, states, outcomes and the decisions about them. No I/O."""
