"""How dates and numbers are written, where Django's own formats are not what one writes.

MOMENT_FORMAT is an instant, DAY_FORMAT a day, as customers read them: with the weekday.
`coupons/moments.py` draws them.
"""
