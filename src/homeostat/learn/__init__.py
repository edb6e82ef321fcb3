"""From outcomes to better decisions: effects, credit, off-policy evaluation, label joining.

Turns before and after into outcomes; never promotes anything by itself.
"""
