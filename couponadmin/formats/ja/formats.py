DATETIME_FORMAT = "Y年n月j日 G:i"
MOMENT_FORMAT = "Y年n月j日(D) G:i"  # 2026年12月31日(木) 23:59
DAY_FORMAT = "Y年n月j日(D)"
