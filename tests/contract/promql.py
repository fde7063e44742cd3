"""What tests ask of the selectors of an expression."""

from tools.backtest.promql import Selector


def only(selector: Selector, label: str) -> str | None:
    """The one value that the label must have; None when it may have others."""
    return next((found.value for found in selector.matchers if (found.label, found.operator) == (label, "=")), None)
