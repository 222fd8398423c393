MOMENT_FORMAT = "D, M j, Y, g:i A"  # Thu, Dec 31, 2026, 11:59 PM
DAY_FORMAT = "D, M j, Y"
