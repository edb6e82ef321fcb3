"""Three lines that let Homeostat see what a model server predicts.

`monitor` counts predictions, inputs and activations; `Middleware` counts requests and answers
`/metrics`. It judges nothing and sends nothing anywhere.
"""

from homeostat_instrument.histogram import backend
from homeostat_instrument.middleware import Middleware, metrics_app
from homeostat_instrument.monitor import Monitor, monitor

__all__ = ["Middleware", "Monitor", "backend", "metrics_app", "monitor"]
