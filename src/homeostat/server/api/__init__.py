"""The HTTP API: reads, approvals, labels, the event stream; every change needs a token."""
