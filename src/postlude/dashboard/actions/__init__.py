"""What people do by the dashboard: each change is a POST, by somebody who may, with a line in the audit."""
