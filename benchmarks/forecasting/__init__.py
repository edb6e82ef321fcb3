"""How good the forecasts are, beside persistence and seasonal-naive: `python -m forecasting`."""
