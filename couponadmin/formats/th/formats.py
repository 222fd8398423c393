MOMENT_FORMAT = "D j M Y H:i น."  # พฤ. 31 ธ.ค. 2569 23:59 น.
DAY_FORMAT = "D j M Y"
