"""The policies that everything else is compared with; none of them learns."""
