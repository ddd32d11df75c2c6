"""What tests need: of applications that use Postlude, and of stores that others write."""
