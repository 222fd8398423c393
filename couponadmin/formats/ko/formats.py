DATETIME_FORMAT = "Y년 n월 j일 A g:i"
MOMENT_FORMAT = "Y년 n월 j일(D) H:i"  # 2026년 12월 31일(목) 23:59
DAY_FORMAT = "Y년 n월 j일(D)"
