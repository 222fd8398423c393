MOMENT_FORMAT = "Y年n月j日（D）H:i"  # 2026年12月31日（四）23:59
DAY_FORMAT = "Y年n月j日（D）"
MONTH_DAY_FORMAT = "n月j日"
# Django groups nothing here; in Taiwan prices read NT$1,200.
THOUSAND_SEPARATOR = ","
NUMBER_GROUPING = 3
