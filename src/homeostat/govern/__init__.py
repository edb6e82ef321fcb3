"""Layer 3, enterprise constraints: objectives, verification, approvals, autonomy, explanations.

May hold, ask, stage or take back; never adds an action that no policy proposed except HOLD and
undo.
"""
