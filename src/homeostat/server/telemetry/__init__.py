"""What the controller says of itself: metrics, rules over them, a dashboard, and spans."""
