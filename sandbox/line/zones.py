"""LINE's time zones and the hours east of UTC that its reference gives them.

The names look like IANA's, but the signs of ETC_GMT are turned and some hours are
out of date. Source: Messaging API reference, "Create a coupon", `timezone`.
"""

ZONES = {
    "ETC_GMT_MINUS_12": -12,
    "ETC_GMT_MINUS_11": -11,
    "PACIFIC_HONOLULU": -10,
    "AMERICA_ANCHORAGE": -9,
    "AMERICA_LOS_ANGELES": -8,
    "AMERICA_PHOENIX": -7,
    "AMERICA_CHICAGO": -6,
    "AMERICA_NEW_YORK": -5,
    "AMERICA_CARACAS": -4.5,
    "AMERICA_SANTIAGO": -4,
    "AMERICA_ST_JOHNS": -3.5,
    "AMERICA_SAO_PAULO": -3,
    "ETC_GMT_MINUS_2": -2,
    "ATLANTIC_CAPE_VERDE": -1,
    "EUROPE_LONDON": 0,
    "EUROPE_PARIS": 1,
    "EUROPE_ISTANBUL": 2,
    "EUROPE_MOSCOW": 3,
    "ASIA_TEHRAN": 3.5,
    "ASIA_TBILISI": 4,
    "ASIA_KABUL": 4.5,
    "ASIA_TASHKENT": 5,
    "ASIA_COLOMBO": 5.5,
    "ASIA_KATHMANDU": 5.75,
    "ASIA_ALMATY": 6,
    "ASIA_RANGOON": 6.5,
    "ASIA_BANGKOK": 7,
    "ASIA_TAIPEI": 8,
    "ASIA_TOKYO": 9,
    "AUSTRALIA_DARWIN": 9.5,
    "AUSTRALIA_SYDNEY": 10,
    "ASIA_VLADIVOSTOK": 11,
    "ETC_GMT_PLUS_12": 12,
    "PACIFIC_TONGATAPU": 13,
}
