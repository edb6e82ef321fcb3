"""The composition root: the one place where real parts are chosen and handed over."""
