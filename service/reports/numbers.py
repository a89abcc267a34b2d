"""Figures as people read them."""


def figure(value: float) -> str:
    """A figure with three digits that count, thousands apart."""
    size = abs(value)
    if size < 0.001:
        return f"{value:.2g}" if value else "0"
    if size >= 100:
        return f"{value:,.0f}"
    return f"{value:.{3 if size < 10 else 1}f}".rstrip("0").rstrip(".")


def signed(value: float) -> str:
    """A difference, its sign shown."""
    text = figure(value)
    return f"+{text}" if value > 0 and text != "0" else text


def whole(value: float) -> str:
    """A count."""
    return f"{value:,.0f}"


def percent(share: float) -> str:
    """A share."""
    return f"{share * 100:.0f} %"


def seconds(value: float) -> str:
    """How long something took."""
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 120:
        return f"{value:.1f} s"
    minutes = round(value / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def chance(p: float) -> str:
    """A p value."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
