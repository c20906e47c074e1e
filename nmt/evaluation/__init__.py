"""Scores of translations: sacreBLEU's metrics, exactly as its command computes them."""
